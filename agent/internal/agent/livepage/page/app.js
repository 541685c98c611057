// The live page of an agent: listens to its events and draws what they say, at most once a frame.
import {notify, readOnly, reload} from './actions.js';
import {drawDetail, openDetail} from './detail.js';
import {$, make, setAttribute, setChildren, setText} from './dom.js';
import {listen, measure, toTop} from './list.js';
import {sessionAt} from './map.js';
import {apply, disconnect, key, model} from './model.js';
import {drawNow, drawState} from './overview.js';
import {takeColours} from './plot.js';
import {countShown, drawSessions, shownText} from './sessions.js';
import {drawFailures, drawLeftOut, drawRefused, drawValidators} from './side.js';
import {follow} from './stream.js';
import {language, others, say, speak, words} from './words.js';

let paused = false, scheduled = false, reloading = false;

function draw() {
  scheduled = false;
  drawState();
  drawControls();
  if (!paused) drawAll();
}

function drawAll() {
  document.body.classList.toggle('waiting', !model.status);
  drawNow();
  drawSessions();
  drawFailures();
  drawValidators();
  drawRefused();
  drawLeftOut();
  drawDetail();
}

// schedule draws the page before the next frame, and not at all while it is hidden.
function schedule() {
  if (!scheduled) requestAnimationFrame(draw);
  scheduled = true;
}

function drawControls() {
  $('reload').disabled = reloading || readOnly();
  setText($('reload'), reloading ? words.reloading : words.reload);
  setText($('pause'), paused ? words.resume : words.pause);
  setAttribute($('pause'), 'aria-pressed', paused);
  setAttribute($('reload'), 'title', readOnly() ? words.readOnly : '');
}

// stored remembers a choice, if the browser lets pages store anything.
const stored = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* it holds for this visit */ } },
};

// choice returns what the address asks for, what was chosen before, or else what the browser prefers.
const choice = (name, preferred) => new URLSearchParams(location.search).get(name) ?? stored.get(name) ?? preferred;

function chooseLanguage(name) {
  speak(name);
  document.documentElement.lang = language;
  document.title = words.title;
  for (const e of document.querySelectorAll('[data-text]')) setText(e, words[e.dataset.text]);
  for (const e of document.querySelectorAll('[data-label]')) setAttribute(e, 'aria-label', words[e.dataset.label]);
  const [[other, catalogue]] = others();
  setText($('language'), catalogue.language);
  setAttribute($('language'), 'lang', other);
  setChildren($('scheme'), language, () => Object.entries(words.schemes).map(([value, text]) => make('option', {value}, text)));
  $('scheme').value = document.documentElement.dataset.scheme;
}

function chooseScheme(name) {
  document.documentElement.dataset.scheme = Object.hasOwn(words.schemes, name) ? name : 'auto';
  takeColours();
}

// relayout draws everything anew after the window or the colours have changed.
function relayout() {
  takeColours();
  measure();
  drawAll();
}

function listenToPerson() {
  $('language').addEventListener('click', () => {
    const [[other]] = others();
    stored.set('language', other);
    chooseLanguage(other);
    drawControls();
    drawState();
    drawAll();
  });
  $('scheme').addEventListener('change', event => {
    stored.set('scheme', event.target.value);
    chooseScheme(event.target.value);
    drawAll();
  });
  $('pause').addEventListener('click', () => {
    paused = !paused;
    schedule();
  });
  $('reload').addEventListener('click', async () => {
    reloading = true;
    drawControls();
    await reload();
    reloading = false;
    drawControls();
  });
  let typing;
  $('filter').addEventListener('input', () => {
    toTop();
    schedule();
    clearTimeout(typing); // said once the person has stopped typing
    typing = setTimeout(() => setText($('spoken'), shownText(countShown())), 1000);
  });
  $('filter').addEventListener('submit', event => event.preventDefault());
  listen(openDetail);
  $('map').addEventListener('click', event => {
    const session = sessionAt(event);
    if (session) openDetail(key(session));
  });
  addEventListener('resize', relayout);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', relayout);
}

function hear(kind, data) {
  try {
    const told = apply(kind, data);
    if (told === 'restarted') notify(words.restarted);
    if (told === 'lost') notify(say(words.eventsLost, {n: data.events}));
  } catch (error) {
    reportError(error); // one event that is not understood must not end the stream
  }
  schedule();
}

speak(choice('language', navigator.language.slice(0, 2)));
chooseScheme(choice('scheme', 'auto'));
chooseLanguage(language);
document.body.classList.remove('loading');
measure();
listenToPerson();
draw();
follow('api/v1/events', hear, why => {
  disconnect(why);
  schedule();
});
