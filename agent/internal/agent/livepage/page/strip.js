// The strip of a session: a cell for each step, in colour and shape.
import {make, resize, setAttribute} from './dom.js';
import {say, wait, words} from './words.js';

// outcome returns what became of step n, counted from 0: p passed, f did not, n is not judged yet. The
// agent keeps the last 64.
export const outcome = (session, n) => session.outcomes[n - (session.position - session.outcomes.length)] ?? 'n';

export const failedSteps = session => session.outcomes.replaceAll('p', '').length;

// drawStrip shows at most that many steps, up to 64, the next one among them.
export function drawStrip(element, session, most) {
  const first = Math.max(0, Math.min(session.position - Math.ceil(most * 0.8), session.steps - most));
  const last = Math.min(session.steps, first + most);
  const cells = resize(element, last - first, () => make('i'));
  for (let n = first; n < last; n++) {
    const next = n === session.position && session.state === 'open' ? ' next' : '';
    const cut = n === first && first > 0 || n === last - 1 && last < session.steps ? ' cut' : '';
    setAttribute(cells[n - first], 'class', `cell ${outcome(session, n)}${next}${cut}`);
  }
}

export const stripLabel = session => say(words.strip, {
  position: session.position, steps: session.steps, failed: failedSteps(session),
});

// waiting says what a session waits for, or how it ended.
export function waiting(session, now) {
  if (session.state !== 'open') return say(words.ended[session.state], {cause: session.cause});
  if (session.waits_for === 'validator') return words.waits.validator;
  const late = session.due ? (now - new Date(session.due)) / 1000 : 0;
  return late < 0 ? say(words.waits.interval, {time: wait(Math.ceil(-late))}) : say(words.waits.client, {time: wait(late)});
}
