// Failed steps, validators, and what was refused.
import {$, make, resize, setAttribute, setChildren, setText} from './dom.js';
import {model} from './model.js';
import {duration, entry, language, number, say, time, words} from './words.js';

const listed = 20; // failed steps

// reasonText says in words what was wrong with a step.
export const reasonText = failure => entry(words.reasons, failure.reason) ?? '';

function failureLines(failure) {
  return [
    make('p', {}, make('code', {}, failure.reason), ' ', reasonText(failure)),
    make('p', {class: 'said'}, failure.detail ?? ''),
    make('p', {class: 'which'}, say(words.stepOf, {
      step: String(failure.step_id), session: failure.session, client: failure.client, time: time(new Date(failure.time)),
    })),
  ];
}

// drawFailures keeps the list still while the pointer is in it.
export function drawFailures() {
  const list = $('failures');
  $('none-failed').hidden = model.failures.length > 0;
  if (list.matches(':hover') && model.failures.length) return;
  const failures = model.failures.slice(0, listed), items = resize(list, failures.length, () => make('li'));
  failures.forEach((failure, i) => {
    setAttribute(items[i], 'class', failure.outcome === 'undecided' ? 'n' : 'f');
    setChildren(items[i], `${failure.time} ${failure.session} ${failure.position} ${language}`, () => failureLines(failure));
  });
}

const nanoseconds = n => duration(n === undefined ? undefined : n / 1e9);

export function drawValidators() {
  const processes = model.status?.validators ?? [];
  const cards = resize($('validators'), processes.length, () =>
    make('div', {}, make('h3'), ...['state', 'process', 'judged', 'calls', 'error'].map(name => make('p', {class: name}))));
  processes.forEach((process, i) => {
    const [name, state, runs, judged, calls, error] = cards[i].children;
    const health = process.refusing ? 'refusing' : process.state;
    setAttribute(cards[i], 'class', `card ${health.replace(' ', '-')}`);
    setText(name, process.validators.join(', '));
    setText(state, entry(words.health, health) ?? health);
    setText(runs, say(words.process, {uptime: duration(process.uptime_seconds), restarts: process.restarts}));
    setText(judged, say(words.judged, {steps: process.steps, errors: process.errors}));
    setText(calls, say(words.calls, {median: nanoseconds(process.latency?.p50_ns), p99: nanoseconds(process.latency?.p99_ns)}));
    setText(error, process.last_error ? say(words.lastError, {error: process.last_error}) : '');
    error.hidden = !process.last_error;
  });
}

// drawRefused counts what was refused: steps, messages and connections, each by reason.
export function drawRefused() {
  const {connections, sessions} = model.status ?? {};
  const groups = {
    steps: Object.entries(sessions?.steps_by_reason ?? {}),
    messages: Object.entries(connections?.messages_refused_by_reason ?? {any: connections?.messages_refused}),
    connections: [['limit', connections?.refused], ['not_allowed', connections?.not_allowed]],
  };
  const lines = Object.entries(groups).filter(([, counts]) => counts.length)
    .flatMap(([group, counts]) => [[words.refusedGroups[group]], ...counts]);
  setChildren($('refused-lines'), `${lines.map(([name]) => name)} ${language}`, () => lines.map(refusedLine));
  lines.forEach(([, count], i) => {
    const cell = $('refused-lines').children[i].querySelector('td');
    if (cell) setText(cell, number(count));
  });
}

function refusedLine(line) {
  if (line.length === 1) return make('tr', {}, make('th', {scope: 'rowgroup', colspan: '2'}, line[0]));
  const sentence = entry(words.reasons, line[0]);
  const what = sentence ? [make('code', {}, line[0]), ' ', sentence] : [entry(words.meanings, line[0]) ?? line[0]];
  return make('tr', {}, make('th', {scope: 'row'}, ...what), make('td', {class: 'num'}));
}

export function drawLeftOut() {
  const counts = {leftOut: model.leftOut, failuresLeftOut: model.failuresLeftOut, lostSoFar: model.eventsLost};
  const said = Object.entries(counts).filter(([, n]) => n > 0).map(([name, n]) => say(words[name], {n}));
  setText($('left-out'), said.join('; '));
}
