// The list of sessions. Only the rows that are seen are in the page, so that ten thousand sessions cost
// no more than thirty.
import {$, make, setAttribute, setText} from './dom.js';
import {key, model} from './model.js';
import {rem} from './plot.js';
import {drawStrip, failedSteps, stripLabel, waiting} from './strip.js';
import {language, words} from './words.js';

const spare = 4; // rows drawn above and below those seen

let shown = []; // sessions
let active = null; // key of the session that the arrows are at
let rowHeight = 1, mostCells = 1; // of the layout in force
let cells = 10; // of a strip
const rows = new Map(); // by place, reused so that nothing moves

// measure reads the layout, which depends on the width of the page.
export function measure() {
  const style = getComputedStyle($('list'));
  rowHeight = parseFloat(style.getPropertyValue('--row')) * rem();
  mostCells = parseFloat(style.getPropertyValue('--most'));
  for (const row of rows.values()) row.remove();
  rows.clear();
}

// toTop shows the first rows, after the filter has changed.
export function toTop() {
  $('list').scrollTop = 0;
}

// showList takes the sessions to show, in order.
export function showList(sessions) {
  shown = sessions;
  const steps = shown.reduce((most, s) => Math.max(most, s.steps), cells);
  cells = Math.min(mostCells, steps);
  $('list').style.setProperty('--cells', cells);
  drawList();
}

export function drawList() {
  const list = $('list'), head = $('list-head').offsetHeight;
  const top = Math.floor((list.scrollTop) / rowHeight), seen = Math.ceil((list.clientHeight - head) / rowHeight);
  const first = Math.max(0, top - spare), last = Math.min(shown.length, top + seen + spare + 1);
  $('rows').style.height = shown.length * rowHeight + 'px';
  setAttribute(list, 'aria-rowcount', shown.length + 1);
  for (const [place, row] of rows) {
    if (place >= first && place < last) continue;
    row.remove();
    rows.delete(place);
  }
  for (let place = first; place < last; place++) {
    if (!rows.has(place)) rows.set(place, addRow(place));
    drawRow(rows.get(place), shown[place]);
  }
  const at = rows.get(placeOfActive());
  if (at) setAttribute(list, 'aria-activedescendant', at.id);
  else list.removeAttribute('aria-activedescendant');
  setText($('empty'), shown.length ? '' : model.open.size + model.ended.size ? words.noneFits : words.noSessions);
}

function addRow(place) {
  const row = make('div', {role: 'row', id: 'row-' + place, 'aria-rowindex': place + 2},
    ...['name', 'client', 'steps', 'wait'].map(name => make('span', {role: 'gridcell', class: name})));
  row.children[2].append(make('span', {role: 'img', class: 'strip'}), make('span', {class: 'of'}));
  row.style.top = place * rowHeight + 'px';
  $('rows').append(row);
  return row;
}

function drawRow(row, session) {
  const [name, client, steps, wait] = row.children;
  setAttribute(row, 'class', `${session.state}${key(session) === active ? ' active' : ''}`);
  setText(wait, waiting(session, model.time));
  const shows = `${key(session)} ${session.position} ${session.outcomes} ${session.state} ${session.undecided} ${cells} ${language}`;
  if (row.shows === shows) return;
  row.shows = shows;
  setText(name, session.id);
  setText(client, session.client);
  drawStrip(steps.firstChild, session, cells);
  setAttribute(steps.firstChild, 'aria-label', stripLabel(session));
  setText(steps.lastChild, `${session.position}/${session.steps}${failedSteps(session) ? `, ${failedSteps(session)} ✕` : ''}`);
}

const placeOfActive = () => active === null ? -1 : shown.findIndex(s => key(s) === active);

// listen calls open with the key of a session that is chosen by pointer or by keyboard.
export function listen(open) {
  const list = $('list');
  list.addEventListener('scroll', () => requestAnimationFrame(drawList), {passive: true});
  list.addEventListener('click', event => {
    const row = event.target.closest('#rows > [role=row]');
    if (!row) return;
    active = key(shown[row.getAttribute('aria-rowindex') - 2]);
    drawList();
    open(active);
  });
  list.addEventListener('focus', () => {
    if (placeOfActive() < 0 && shown.length) moveTo(Math.ceil(list.scrollTop / rowHeight));
  });
  list.addEventListener('keydown', event => {
    const place = placeOfActive(), page = Math.max(1, Math.floor(list.clientHeight / rowHeight) - 2);
    const to = {
      ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + page, PageUp: place - page, Home: 0, End: shown.length - 1,
    }[event.key];
    if (to !== undefined && shown.length) moveTo(to);
    else if ((event.key === 'Enter' || event.key === ' ') && place >= 0) open(active);
    else return;
    event.preventDefault();
  });
}

// moveTo makes a row the active one and scrolls it into view.
function moveTo(place) {
  const list = $('list'), room = list.clientHeight - $('list-head').offsetHeight;
  place = Math.max(0, Math.min(shown.length - 1, place));
  active = key(shown[place]);
  const top = place * rowHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + rowHeight > list.scrollTop + room) list.scrollTop = top + rowHeight - room;
  drawList();
}
