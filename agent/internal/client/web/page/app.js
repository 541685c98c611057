// Asks for the page again each second and changes what has changed. Everything else is in the page that the
// server sends; without this script it is as it was when it was loaded.

const INTERVAL = 1000; // ms, from an answer to the next question
const PATIENCE = 12000; // ms, for an answer

const lost = document.getElementById('lost');
let etag = '';

// same reports whether two nodes may be one that has changed.
const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || '');

// update makes a node like another one. What the reader has opened, typed or focused stays.
function update(node, like) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== like.nodeValue) node.nodeValue = like.nodeValue;
    return;
  }
  if (node === lost) return;
  for (const {name} of [...node.attributes]) {
    if (!like.hasAttribute(name) && name !== 'open') node.removeAttribute(name);
  }
  for (const {name, value} of like.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  updateChildren(node, like);
}

// updateChildren finds elements with an id again, wherever they have gone among their siblings.
function updateChildren(node, like) {
  const wanted = new Set([...like.children].map(e => e.id).filter(Boolean));
  const named = new Map([...node.children].filter(e => e.id).map(e => [e.id, e]));
  let at = node.firstChild;
  for (const child of [...like.childNodes]) {
    while (at && at.id && !wanted.has(at.id)) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    const old = child.id ? named.get(child.id) : at;
    if (!old || !same(old, child)) {
      node.insertBefore(document.importNode(child, true), at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else node.insertBefore(old, at);
    update(old, child);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

async function ask() {
  const headers = etag ? {'If-None-Match': etag} : {};
  const answer = await fetch(location.href, {cache: 'no-store', headers, signal: AbortSignal.timeout(PATIENCE)});
  const text = await answer.text();
  lost.textContent = '';
  if (answer.status === 304) return;
  etag = answer.headers.get('ETag') || '';
  const page = new DOMParser().parseFromString(text, 'text/html');
  if (!page.getElementById('content')) return; // a refusal, which is no page
  document.title = page.title;
  for (const part of ['main', 'header', 'footer']) update(document.querySelector(part), page.querySelector(part));
}

async function watch() {
  for (;;) {
    await new Promise(done => setTimeout(done, INTERVAL));
    if (document.hidden) continue;
    try {
      await ask();
    } catch {
      if (!lost.textContent) lost.textContent = lost.dataset.text;
    }
  }
}

watch();
