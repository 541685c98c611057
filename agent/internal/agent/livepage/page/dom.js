// Elements of the page. Text from outside is only ever set as text.

export const $ = id => document.getElementById(id);

const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;
const escapes = {'\t': '\\t', '\n': '\\n', '\r': '\\r'};

// clean escapes what is not printable, as the reports and the log do, so that it is visible and
// cannot turn the direction of the text around it.
export function clean(text) {
  return String(text ?? '').replace(unprintable, c => {
    const code = c.codePointAt(0), hex = code.toString(16);
    if (escapes[c]) return escapes[c];
    if (code < 0x80) return '\\x' + hex.padStart(2, '0');
    return code > 0xffff ? '\\U' + hex.padStart(8, '0') : '\\u' + hex.padStart(4, '0');
  });
}

// make returns an element with attributes and children: elements, or text.
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// draw is make for SVG.
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map(c => c instanceof Node ? c : clean(c)));
  return element;
}

// setText changes what a screen reader may be reading only if it differs.
export function setText(element, text) {
  const cleaned = clean(text);
  if (element.textContent !== cleaned) element.textContent = cleaned;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// setChildren replaces the children if the key, which says what they show, differs.
export function setChildren(element, key, children) {
  if (element.shownKey === key) return;
  element.shownKey = key;
  element.replaceChildren(...children());
}

// resize returns as many children of the parent as there are items; makeChild makes those missing.
// Children stay where they are, so that nothing moves while their text changes.
export function resize(parent, count, makeChild) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.append(makeChild());
  return parent.children;
}
