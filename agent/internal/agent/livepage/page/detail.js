// The dialog of one session: what it is, its timeline and its steps.
import {endSession, readOnly} from './actions.js';
import {$, draw, make, setChildren, setText} from './dom.js';
import {failuresOf, find, isFailing, key, model} from './model.js';
import {reasonText} from './side.js';
import {failedSteps, waiting} from './strip.js';
import {duration, language, say, time, words} from './words.js';

let shown = null; // key of the session

// openDetail shows a session until the dialog is closed.
export function openDetail(session) {
  shown = session;
  const dialog = $('detail');
  dialog.shownKey = null;
  drawDetail();
  dialog.showModal();
  dialog.scrollTop = 0;
}

export function drawDetail() {
  const dialog = $('detail'), session = shown && find(shown);
  if (!shown) return;
  setChildren(dialog, `${shown} ${language}`, frame);
  $('detail-gone').hidden = Boolean(session);
  $('detail-end').disabled = readOnly() || session?.state !== 'open';
  if (!session) return;
  dialog.className = isFailing(session) ? 'fail' : session.state;
  setText($('detail-mark'), words.marksOfSessions[session.state]);
  setText($('detail-name'), session.id);
  drawFacts(session);
  const steps = stepsOf(session);
  setChildren($('detail-timeline'), `${key(session)} ${session.position} ${session.state} ${Math.floor(lasted(session))}`, () => timeline(session, steps));
  setChildren($('detail-steps'), `${key(session)} ${session.position} ${session.undecided} ${language}`, () => steps.map(stepItem));
  $('detail-earlier').hidden = session.position <= session.outcomes.length;
}

// frame returns what stays while the session goes on.
function frame() {
  const close = make('button', {type: 'button', class: 'close'}, words.close);
  close.addEventListener('click', () => $('detail').close());
  const end = make('button', {type: 'button', id: 'detail-end'}, words.end);
  end.addEventListener('click', () => endSession(find(shown).id));
  return [
    close,
    make('p', {class: 'mark', id: 'detail-mark'}), make('h2', {id: 'detail-name'}),
    make('p', {id: 'detail-gone', hidden: ''}, words.sessionGone),
    make('dl', {id: 'detail-facts'}),
    make('h3', {}, words.timeline),
    make('figure', {}, make('div', {id: 'detail-timeline'}), make('figcaption', {}, words.timelineCaption)),
    make('p', {}, end),
    make('h3', {}, words.stepsListed),
    make('ol', {id: 'detail-steps'}), make('p', {id: 'detail-earlier', hidden: ''}, words.earlier),
  ];
}

const secondsSince = (from, to) => Math.max(0, (new Date(to) - new Date(from)) / 1000);

const lasted = session => secondsSince(session.began, session.endedAt ?? model.time);

function drawFacts(session) {
  const facts = [
    [words.client, session.client],
    ...session.identity ? [[words.identity, session.identity]] : [],
    [words.started, `${time(new Date(session.began))} (${say(words.ago, {time: duration(secondsSince(session.began, model.time))})})`],
    ...session.restored ? [[words.restored, words.restoredWhen]] : [],
    [words.position, `${session.position}/${session.steps}`],
    [words.state, waiting(session, model.time)],
  ];
  setChildren($('detail-facts'), `${facts.length} ${language}`, () => facts.flatMap(([name]) => [make('dt', {}, name), make('dd')]));
  const values = $('detail-facts').querySelectorAll('dd');
  facts.forEach(([, value], i) => setText(values[i], value));
}

// stepsOf returns the steps that are known, the latest first: {position, outcome, time, failure}.
function stepsOf(session) {
  const failures = failuresOf(session), first = session.position - session.outcomes.length + 1;
  const judged = Array.from(session.outcomes, (outcome, i) => ({
    position: first + i, outcome, time: session.times[i], failure: outcome === 'f' ? failures.get(first + i) : undefined,
  }));
  const undecided = model.failures
    .filter(f => f.session === session.id && f.time >= session.began && f.outcome === 'undecided')
    .map(f => ({position: f.position, outcome: 'u', time: f.time, failure: f}));
  for (const step of [...judged, ...undecided]) step.after = step.time ? secondsSince(session.began, step.time) : null;
  return [...judged, ...undecided].sort((a, b) => b.position - a.position || (b.after ?? 0) - (a.after ?? 0));
}

function stepItem(step) {
  const what = `${say(words.step, {position: step.position, outcome: words.outcomes[step.outcome]})}`;
  const item = make('li', {}, make('i', {class: 'cell ' + step.outcome, 'aria-hidden': 'true'}),
    make('span', {}, step.after === null ? what : `${what}, ${say(words.after, {time: duration(step.after)})}`));
  if (step.failure) {
    item.append(make('p', {}, make('code', {}, step.failure.reason), ` ${reasonText(step.failure)}`),
      make('p', {class: 'said'}, step.failure.detail ?? ''));
  }
  return item;
}

// timeline draws a bar for each step at the time at which it was judged.
function timeline(session, steps) {
  const whole = Math.max(lasted(session), 0.001);
  const label = say(words.timelineLabel, {position: session.position, duration: duration(whole), failed: failedSteps(session)});
  const bars = steps.filter(s => s.after !== null).map(s => draw('rect', {
    class: 'at ' + s.outcome, x: `${Math.min(99.2, s.after / whole * 99.2)}%`, width: '0.8%',
    y: s.outcome === 'p' ? '55%' : '5%', height: s.outcome === 'p' ? '45%' : '95%',
  }));
  return [
    draw('svg', {role: 'img', 'aria-label': label}, ...bars),
    make('p', {class: 'ticks'}, make('span', {}, time(new Date(session.began))), make('span', {}, duration(whole))),
  ];
}
