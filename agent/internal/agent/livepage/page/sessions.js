// The sessions: filter, counts, map and list.
import {$, make, resize, setChildren, setText} from './dom.js';
import {drawMap} from './map.js';
import {showList} from './list.js';
import {isFailing, model} from './model.js';
import {language, number, say, words} from './words.js';

const fits = {
  all: () => true,
  open: s => s.state === 'open',
  failing: isFailing,
  ended: s => s.state !== 'open',
};

const rest = 10; // seconds that a session keeps its place after its end
const mostResting = 20; // do so; if more have just ended, only those whose name is used again and again

// filter returns a function that says whether a session is to be shown.
function filter() {
  const text = $('text').value.trim().toLowerCase(), kind = fits[$('kind').value] ?? fits.all;
  return s => kind(s) && (!text || s.id.toLowerCase().includes(text) || s.client.includes(text) || s.identity?.toLowerCase().includes(text));
}

// order returns all sessions: those that go on, each in its place, and those that have ended, latest first.
function order() {
  const ended = [...model.ended.values()].reverse();
  const justEnded = s => s && (model.time - new Date(s.endedAt)) / 1000 < rest;
  const many = justEnded(ended[mostResting]);
  const resting = new Set(ended.filter(s => model.latest.get(s.id) === s && (s.again || !many) && justEnded(s)));
  const goingOn = [...model.latest.values()].filter(s => s.state === 'open' || resting.has(s));
  return {goingOn, ended: ended.filter(s => !resting.has(s))};
}

// drawFilter draws what changes with the language alone.
function drawFilter() {
  setChildren($('kind'), language, () => {
    const chosen = $('kind').value || 'all';
    return Object.entries(words.kinds).map(([value, text]) => {
      const option = make('option', {value}, text);
      option.selected = value === chosen;
      return option;
    });
  });
  setChildren($('legend'), language, () => Object.entries(words.outcomes).map(([name, text]) =>
    make('li', {}, make('i', {class: 'cell ' + name, 'aria-hidden': 'true'}), text)));
}

// drawSummary counts the sessions that are shown by what they wait for or how they ended.
function drawSummary(shown) {
  const counts = Object.fromEntries(Object.keys(words.summary).map(name => [name, 0]));
  for (const s of shown) counts[s.state === 'open' ? s.waits_for : s.state]++;
  const items = resize($('summary'), Object.keys(counts).length, () => make('li', {}, make('b'), make('span')));
  Object.entries(counts).forEach(([name, count], i) => {
    items[i].className = name;
    setText(items[i].firstChild, number(count));
    setText(items[i].lastChild, words.summary[name]);
  });
}

export const shownText = shown => say(words.shown, {shown, n: model.open.size + model.ended.size});

let count = 0;

// countShown returns how many sessions the last drawing showed.
export const countShown = () => count;

export function drawSessions() {
  drawFilter();
  const isShown = filter(), {goingOn, ended} = order();
  const shown = [...goingOn, ...ended].filter(isShown);
  count = shown.length;
  setText($('count'), shownText(count));
  drawSummary(shown);
  drawMap($('kind').value === 'ended' ? shown : goingOn.filter(isShown));
  showList(shown);
}
