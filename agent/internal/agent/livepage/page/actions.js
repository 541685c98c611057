// What an operator may do: reload the config and end a session.
import {$, make} from './dom.js';
import {model} from './model.js';
import {problem} from './stream.js';
import {say, words} from './words.js';

const noticeTime = 15_000; // milliseconds

let token = ''; // kept until the page is closed

export const readOnly = () => Boolean(model.status?.http?.read_only);

// notify tells a person something in place of what was told before; kept says that it stays until it is dismissed.
export function notify(text, kept = false) {
  const dismiss = make('button', {type: 'button'}, words.dismiss), notice = make('div', {}, make('p', {}, text), dismiss);
  dismiss.addEventListener('click', () => notice.remove());
  if (!kept) setTimeout(() => notice.remove(), noticeTime);
  $('notices').replaceChildren(notice);
}

// ask shows a question with a field if the field has a label. It returns what was typed, true without a field,
// and null if the person cancels.
function ask({title, text, example, field, yes}) {
  const input = field && make('input', {type: 'password', autocomplete: 'off', required: '', spellcheck: 'false'});
  const cancel = make('button', {type: 'button'}, words.cancel);
  const form = make('form', {}, make('h2', {id: 'ask-title'}, title), make('p', {}, text));
  if (example) form.append(make('p', {}, make('code', {}, example)));
  if (input) form.append(make('label', {}, make('span', {}, field), input));
  form.append(make('p', {class: 'choices'}, make('button', {}, yes), cancel));
  const dialog = make('dialog', {id: 'ask', 'aria-labelledby': 'ask-title'}, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise(answer => {
    const end = value => {
      dialog.close();
      dialog.remove();
      answer(value);
    };
    cancel.addEventListener('click', () => end(null));
    dialog.addEventListener('cancel', () => end(null)); // Escape
    form.addEventListener('submit', event => {
      event.preventDefault();
      end(input ? input.value.trim() : true);
    });
  });
}

const askToken = wrong => ask({
  title: words.tokenTitle, text: wrong ? `${words.tokenWrong} ${words.tokenAsk}` : words.tokenAsk,
  example: model.status?.http?.token_file && `cat ${model.status.http.token_file}`, field: words.token, yes: words.send,
});

// post sends a changing request and asks for the token as long as the agent wants one. It returns the response
// if the agent did it.
async function post(path) {
  try {
    for (;;) {
      const headers = {'X-Stepagent': '1'};
      if (token) headers.Authorization = `Bearer ${token}`;
      const response = await fetch(path, {method: 'POST', headers, cache: 'no-store'});
      if (response.ok) return response;
      if (response.status !== 401) {
        notify(say(words.refusedAction, {detail: await problem(response)}), true);
        return null;
      }
      const given = await askToken(token !== '');
      if (given === null) return null;
      token = given;
    }
  } catch {
    notify(words.unreachable, true);
    return null;
  }
}

export async function reload() {
  const response = await post('api/v1/reload');
  if (response) notify(say(words.reloaded, {n: (await response.json()).generation}));
}

export async function endSession(id) {
  if (!await ask({title: id, text: words.endSure, yes: words.endYes})) return;
  if (await post(`api/v1/sessions/${encodeURIComponent(id)}/end`)) notify(say(words.endedNotice, {session: id}));
}
