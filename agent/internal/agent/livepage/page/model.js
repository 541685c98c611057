// What the page knows of the agent: built from the events, read by everything that draws.

const plotSeconds = 300;
const maxEnded = 1000; // sessions that have ended
const maxFailures = 64;

export const model = {
  connected: null, // null before the first event
  lostAt: null, // when the connection was lost, by this browser's clock
  why: '', // why the agent refuses the page
  status: null,
  time: null, // of the agent, at the last event
  open: new Map(), // sessions by id, oldest first
  ended: new Map(), // by key, oldest first
  latest: new Map(), // the last session of each id, in the order of the ids' first sessions
  failures: [], // latest first
  points: [], // of the plots, one a second: {at, passed, failed, median, p99}; a gap has null values
  leftOut: 0, // sessions
  failuresLeftOut: 0,
  eventsLost: 0,
};

export {plotSeconds};

const unknown = {passed: null, failed: null, median: null, p99: null};
let last = null; // the counters at the last point

// key identifies a session; a name may be used again.
export const key = session => `${session.began} ${session.id}`;

export const find = wanted => {
  const session = model.open.get(wanted.slice(wanted.indexOf(' ') + 1));
  return session && key(session) === wanted ? session : model.ended.get(wanted);
};

// isFailing reports whether a step of the session did not pass.
export const isFailing = session => session.outcomes.includes('f') || session.undecided > 0 || session.state === 'fail';

// failuresOf returns the known failures of a session by position.
export const failuresOf = session => new Map(model.failures
  .filter(f => f.session === session.id && f.time >= session.began)
  .map(f => [f.position, f]));

// apply takes an event and returns what a person is to be told of: 'restarted' or 'lost'.
export function apply(kind, data) {
  model.connected = true;
  model.why = '';
  switch (kind) {
    case 'start': return start(data);
    case 'status': return status(data);
    case 'change': return change(data);
    case 'lost': model.eventsLost += data.events; return 'lost';
  }
}

// disconnect notes that there is no connection.
export function disconnect(why) {
  if (model.connected !== false) model.lostAt = new Date();
  model.connected = false;
  model.why = why;
}

// start forgets the state; the whole of it follows.
function start(data) {
  model.open.clear();
  model.ended.clear();
  model.latest.clear();
  model.failures = [];
  model.leftOut = data.sessions_left_out ?? 0;
  model.failuresLeftOut = 0;
  if (last) model.points.push({at: last.at, ...unknown});
  last = null;
}

function status(data) {
  const before = model.status;
  model.status = data;
  const restarted = before && (data.pid !== before.pid || data.uptime_seconds < before.uptime_seconds);
  if (restarted) model.points = [];
  return restarted ? 'restarted' : undefined;
}

function change(data) {
  model.time = new Date(data.time);
  for (const session of data.sessions ?? []) takeSession(session, data.time);
  model.failures = [...(data.failures ?? []).reverse(), ...model.failures].slice(0, maxFailures);
  model.leftOut += data.left_out ?? 0;
  model.failuresLeftOut += data.failures_left_out ?? 0;
  addPoint(data);
}

// takeSession puts a session where it belongs and notes when its steps were judged.
function takeSession(session, time) {
  const before = model.open.get(session.id), same = before && before.began === session.began;
  const earlier = model.latest.get(session.id);
  session.again = earlier !== undefined && (earlier.again || earlier.began !== session.began);
  session.times = same ? before.times : [];
  const judged = session.position - (same ? before.position : 0);
  // What came before this page looked has no time.
  for (let n = judged; n > 0; n--) session.times.push(same || session.position === 1 ? session.last ?? time : null);
  session.times.splice(0, session.times.length - session.outcomes.length);
  if (!before || before.began <= session.began) model.latest.set(session.id, session);
  if (session.state === 'open') {
    model.open.set(session.id, session);
    return;
  }
  session.endedAt = time;
  if (same) model.open.delete(session.id);
  model.ended.set(key(session), session);
  for (const [oldest, {id}] of model.ended) {
    if (model.ended.size <= maxEnded) break;
    model.ended.delete(oldest);
    if (key(model.latest.get(id)) === oldest) model.latest.delete(id);
  }
}

// addPoint adds to the plots what happened since the last point, once a second.
function addPoint(data) {
  const now = {at: data.uptime_seconds, passed: data.passed, failed: data.failed + data.undecided};
  if (!last || now.at < last.at) {
    last = now;
    return;
  }
  const seconds = now.at - last.at;
  if (seconds < 0.95) return; // changes come each 0.25 s, not to the millisecond
  model.points.push({
    at: now.at, passed: (now.passed - last.passed) / seconds, failed: (now.failed - last.failed) / seconds,
    median: data.median_seconds ?? null, p99: data.p99_seconds ?? null,
  });
  while (model.points[0].at < now.at - plotSeconds) model.points.shift();
  last = now;
}
