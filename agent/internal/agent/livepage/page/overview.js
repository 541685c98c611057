// The top of the page: how the agent is, its numbers, and the plots of the last minutes.
import {$, make, resize, setAttribute, setChildren, setText} from './dom.js';
import {model} from './model.js';
import {plot} from './plot.js';
import {duration, language, number, say, time, words} from './words.js';

function stateName() {
  if (model.connected === null) return 'connecting';
  if (!model.connected) return 'lost';
  if (!model.status) return 'connecting';
  return model.status.trouble?.length ? 'degraded' : 'running';
}

// drawState draws the sentence on the agent. It is a live region, so it has no number that keeps changing.
export function drawState() {
  const state = stateName(), status = model.status;
  const problems = state === 'running' || state === 'degraded' ? status.trouble ?? [] : [];
  setAttribute($('state'), 'class', {running: 'pass', lost: 'fail'}[state] ?? 'none');
  setAttribute($('state'), 'data-state', state);
  setText($('mark'), words.marks[state]);
  setText($('sentence'), say(words.sentences[state], {n: problems.length, time: model.lostAt && time(model.lostAt)}));
  setText($('remedy'), state !== 'lost' ? '' : model.why ? say(words.refusesPage, {detail: model.why}) : words.reconnects);
  setText($("where"), status ? say(words.where, {
    version: status.version, address: status.address, uptime: duration(status.uptime_seconds), generation: String(status.generation),
  }) : 'stepagent');
  const lines = problems.length ? problems : [words.noProblems];
  const items = resize($('problems'), lines.length, () => make('li'));
  lines.forEach((line, i) => setText(items[i], line));
}

export function drawNow() {
  const status = model.status, point = model.points.at(-1);
  const measured = model.points.findLast(p => p.median !== null);
  drawTiles(status ? {
    open: number(status.sessions.open), connections: number(status.connections.open),
    rate: number(point && point.passed !== null ? point.passed + point.failed : undefined),
    passed: number(status.sessions.steps_passed), failed: number(status.sessions.steps_failed),
    undecided: number(status.sessions.steps_undecided),
    median: duration(measured?.median), p99: duration(measured?.p99),
  } : {});
  drawPlot('rate', number, 10, [
    {name: 'passed', colour: 'pass', value: p => p.passed},
    {name: 'failed', colour: 'fail', dashed: true, value: p => p.failed},
  ], point);
  drawPlot('latency', duration, 0.001, [
    {name: 'median', colour: 'kept', value: p => p.median},
    {name: 'p99', colour: 'late', dashed: true, value: p => p.p99},
  ], measured);
}

function drawTiles(values) {
  const names = Object.keys(words.tiles);
  const tiles = resize($('tiles'), names.length, () => make('div', {}, make('dt'), make('dd')));
  names.forEach((name, i) => {
    setText(tiles[i].firstChild, words.tiles[name]);
    tiles[i].lastChild.id = 'tile-' + name;
    setText(tiles[i].lastChild, values[name] ?? '–');
  });
}

function drawPlot(name, format, empty, lines, latest) {
  setChildren($(name + '-keys'), language, () => [
    make('span', {}, words[name]),
    ...lines.map(l => make('span', {class: 'key ' + l.colour}, words.lines[l.name])),
  ]);
  plot($(name), model.points, lines, format, empty);
  const values = latest ? lines.map(l => `${words.lines[l.name]} ${format(l.value(latest))}`) : [];
  setAttribute($(name), 'aria-label', [words[name], ...values].join(', '));
}
