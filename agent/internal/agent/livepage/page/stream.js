// The agent's event stream. EventSource would hide why the agent refuses the page, and would wait on a
// link that is silent for ever; this reader does neither.

const silence = 10_000; // milliseconds without a byte after which the link counts as lost; a status comes each second
const retryAfter = 2_000; // milliseconds until the next attempt

// follow calls on(kind, data) for each event until the page is closed, and lost(why) when there is no
// connection; why is the agent's reason if it gave one.
export async function follow(url, on, lost) {
  for (let last = ''; ;) {
    let why = '';
    try {
      why = await attempt(url, last, (kind, data, id) => {
        // After start the whole state follows. One that is cut off must come again from its beginning.
        last = kind === 'start' ? '' : id || last;
        on(kind, data);
      });
    } catch { /* the link ended: there is no more to know */ }
    lost(why);
    await new Promise(done => setTimeout(done, retryAfter));
  }
}

// attempt reads one response until it ends. It returns why the agent refuses to send one.
async function attempt(url, last, each) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), silence);
  try {
    const response = await fetch(url, {
      headers: last ? {'Last-Event-ID': last} : {}, cache: 'no-store', signal: stop.signal,
    });
    if (!response.ok) return await problem(response);
    const events = parser(each);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await reader.read()).done;) {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), silence);
      events(part.value);
    }
    return '';
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

// problem returns the detail of a refusal, RFC 9457, or its status.
export async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return body.detail || `${response.status} ${response.statusText}`;
}

// parser returns a function that takes the stream in parts, HTML Living Standard, section 9.2. The
// agent ends lines with \n and has one line of data in an event.
function parser(each) {
  let rest = '';
  return part => {
    const blocks = (rest + part).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split('\n')) {
        const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
        if (name) fields[name] = value;
      }
      if (fields.data) each(fields.event, JSON.parse(fields.data), fields.id);
    }
  };
}
