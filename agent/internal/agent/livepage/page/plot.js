// Drawings on canvases: plots of the last minutes, and what all canvases need.
import {plotSeconds} from './model.js';
import {say, words} from './words.js';

let colours = {};

// takeColours reads the colours of the style sheet, in the scheme that is in force.
export function takeColours() {
  const probe = document.body.appendChild(document.createElement('i'));
  for (const name of ['bg', 'dim', 'line', 'pass', 'passbg', 'fail', 'none', 'kept', 'late']) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

export const colour = name => colours[name];

// rem returns the size of text in CSS pixels.
export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

// canvas2d makes a canvas as sharp as the screen, empties it, and returns its context and its size in
// CSS pixels.
export function canvas2d(canvas) {
  const {clientWidth: width, clientHeight: height} = canvas, ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  return {c, width, height};
}

// ceiling returns a round number that is at least n: 1, 2 or 5 times a power of ten.
function ceiling(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].find(f => f * power >= n) * power;
}

// plot draws lines over the last minutes. A line has a colour, whether it is dashed, and value(point);
// null is a gap. The axis is labelled by format, and ends at empty while there is nothing to draw.
export function plot(canvas, points, lines, format, empty) {
  const {c, width, height} = canvas2d(canvas), text = rem() * 0.75;
  const top = text * 1.5, bottom = height - text * 1.6;
  const end = points.at(-1)?.at ?? 0;
  const most = ceiling(Math.max(0, ...points.flatMap(p => lines.map(l => l.value(p) ?? 0))) * 1.05 || empty);
  const x = at => width - (end - at) / plotSeconds * width;
  const y = value => bottom - value / most * (bottom - top);
  c.font = `${text}px system-ui, sans-serif`;
  axes(c, {width, height, text, top, bottom}, [0, most / 2, most].map(v => [y(v), v ? format(v) : '']));
  for (const line of lines) trace(c, points.map(p => [x(p.at), line.value(p)]), y, line);
}

function axes(c, {width, height, text, top, bottom}, levels) {
  c.lineWidth = 1;
  c.strokeStyle = colour('line');
  c.fillStyle = colour('dim');
  const line = (x1, y1, x2, y2) => {
    c.beginPath();
    c.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    c.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
    c.stroke();
  };
  const minutes = plotSeconds / 60;
  for (let n = 0; n <= minutes; n++) {
    const x = width * (1 - n / minutes) - (n ? 0 : 1);
    line(x, top, x, bottom);
    c.textAlign = n === 0 ? 'right' : n === minutes ? 'left' : 'center';
    c.fillText(n ? say(words.minutesAgo, {n}) : words.nowTick, x, height - text * 0.35);
  }
  c.textAlign = 'left';
  for (const [y, label] of levels) {
    line(0, y, width, y);
    c.fillText(label, 2, y - text * 0.35);
  }
}

function trace(c, points, y, line) {
  c.beginPath();
  c.setLineDash(line.dashed ? [6, 4] : []);
  c.lineWidth = 2;
  c.strokeStyle = colour(line.colour);
  let drawn = false;
  for (const [x, value] of points) {
    if (value !== null) c[drawn ? 'lineTo' : 'moveTo'](x, y(value));
    drawn = value !== null;
  }
  c.stroke();
  c.setLineDash([]);
}
