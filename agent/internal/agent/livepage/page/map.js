// The map of the sessions: a square for each, or for a few where there are too many.
import {$, setAttribute, setText} from './dom.js';
import {isFailing} from './model.js';
import {canvas2d, colour, rem} from './plot.js';
import {say, words} from './words.js';

const sides = [4, 2.65, 2, 1.6, 1.3, 1, 0.75, 0.6, 0.5, 0.4, 0.3]; // of a square, in rem

let squares = {side: 1, columns: 1, each: 1, shown: []};

// arrange finds the largest squares that fit, and how many sessions share one.
function arrange(count, width, height) {
  let side, columns, room;
  for (const size of sides) {
    side = Math.max(5, Math.floor(size * rem()));
    columns = Math.max(1, Math.floor(width / side));
    room = columns * Math.max(1, Math.floor(height / side));
    if (room >= count) break;
  }
  return {side, columns, each: Math.max(1, Math.ceil(count / room))};
}

// drawMap draws pixel by pixel: ten thousand shapes a quarter of a second are too many for some browsers.
export function drawMap(shown) {
  const canvas = $('map'), {c, width, height} = canvas2d(canvas);
  if (!canvas.width || !canvas.height) return;
  squares = {...arrange(shown.length, width, height), shown};
  const {side, columns, each} = squares, scale = canvas.width / width;
  const image = c.createImageData(canvas.width, canvas.height);
  const rect = painter(new Uint32Array(image.data.buffer), canvas.width);
  const colours = Object.fromEntries(['line', 'pass', 'none', 'fail'].map(name => [name, pixel(colour(name))]));
  const inner = Math.floor(side * scale) - Math.ceil(scale), notch = Math.max(1, Math.floor(inner / 6));
  let failing = 0;
  for (let n = 0; n * each < shown.length; n++) {
    const some = each === 1 ? [shown[n]] : shown.slice(n * each, (n + 1) * each);
    const x = Math.floor(n % columns * side * scale), y = Math.floor(Math.floor(n / columns) * side * scale);
    let judged = 0, bad = 0, incomplete = false;
    for (const s of some) {
      judged += s.position / s.steps / some.length;
      bad += isFailing(s);
      incomplete ||= s.state === 'incomplete';
    }
    const part = Math.max(judged && 1, Math.floor(inner * judged)), red = Math.ceil(part * bad / some.length);
    rect(x, y, inner, inner - part, colours.line);
    rect(x, y + inner - part, inner, part - red, incomplete ? colours.none : colours.pass);
    rect(x, y + inner - red, inner, red, colours.fail);
    if (bad) rect(x + Math.floor((inner - notch) / 2), y, notch, inner, 0); // a shape besides the colour
    failing += bad;
  }
  c.putImageData(image, 0, 0);
  setText($('map-caption'), !shown.length ? words.mapNone : each === 1 ? words.mapOne : say(words.mapMany, {n: each}));
  setAttribute(canvas, 'aria-label', say(words.mapLabel, {n: shown.length, failing}));
}

// painter returns a function that fills a rectangle of an image.
const painter = (pixels, width) => (x, y, w, h, value) => {
  for (let row = y * width; row < (y + h) * width; row += width) {
    for (let at = row + x; at < row + x + w; at++) pixels[at] = value;
  }
};

// pixel returns a colour such as rgb(1, 2, 3) as an image has it, in the byte order of the machine.
function pixel(text) {
  const [r, g, b] = text.match(/[\d.]+/g);
  return new Uint32Array(new Uint8ClampedArray([r, g, b, 255]).buffer)[0];
}

// sessionAt returns the session under the pointer.
export function sessionAt(event) {
  const {side, columns, each, shown} = squares;
  const x = Math.floor(event.offsetX / side), y = Math.floor(event.offsetY / side);
  return x < columns ? shown[(y * columns + x) * each] : undefined;
}
