// Elements. Whatever comes from outside gets in as text or as an attribute, and never as markup.

const $ = (id) => document.getElementById(id);

// An element with attributes (`on…` are listeners, `text` is its text, what is null or false is left out) and children.
function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') element.textContent = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith('aria-') ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// Text of people: it keeps its own direction, whatever direction marks it holds, and control characters are seen and not obeyed.
function said(tag, text, attributes = {}) {
  return el(tag, { dir: 'auto', text: visible(text), ...attributes, class: `said ${attributes.class ?? ''}`.trim() });
}

function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (c) =>
    String.fromCharCode(c === '\u007f' ? 0x2421 : 0x2400 + c.charCodeAt(0)));
}

// A path below OUT as an address, every odd character spelt out; nothing for one that would lead elsewhere.
function address(path) {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return null;
  return './' + parts.map(encodeURIComponent).join('/');
}

function button(key, action, attributes = {}) {
  return el('button', { type: 'button', text: t(key), onclick: action, ...attributes });
}

// Fills in the words of what stands in the page from the beginning.
function translate() {
  document.documentElement.lang = locale();
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-t-hint]')) element.placeholder = t(element.dataset.tHint);
  for (const element of document.querySelectorAll('[data-t-label]')) {
    element.setAttribute('aria-label', t(element.dataset.tLabel));
    if (element.tagName === 'BUTTON') element.title = t(element.dataset.tLabel);
  }
}

// What the reader likes is kept where the browser allows it.
function remember(key, value) {
  try { localStorage.setItem(`promptbatch.${key}`, value); } catch { /* it is asked for again next time */ }
}

function remembered(key) {
  try { return localStorage.getItem(`promptbatch.${key}`); } catch { return null; }
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el('textarea', { class: 'hidden', 'aria-hidden': true });
    area.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

// Says something for a moment, in place of a button's words.
function flash(element, key) {
  const before = element.textContent;
  element.textContent = t(key);
  setTimeout(() => { element.textContent = before; }, 1200);
}

// A list of which only what is seen exists. `fill(index)` makes an element; all rows have the same height. Returns a function that
// draws anew, and forgets what it had if it is told to.
function virtual(container, { count, columns, rowHeight, fill }) {
  const shown = new Map();
  const draw = (isAnew = false) => {
    const perRow = columns();
    const height = rowHeight();
    const n = count();
    if (isAnew) {
      shown.forEach((element) => element.remove());
      shown.clear();
      container.style.height = `${Math.ceil(n / perRow) * height}px`;
    }
    const above = container.getBoundingClientRect().top;
    const overscan = 2;
    const from = Math.max(0, Math.floor(-above / height) - overscan) * perRow;
    const to = Math.min(n, (Math.ceil((innerHeight - above) / height) + overscan) * perRow);
    for (const [index, element] of shown) {
      if (index < from || index >= to) {
        element.remove();
        shown.delete(index);
      }
    }
    const added = [];
    for (let index = from; index < to; index += 1) {
      if (shown.has(index)) continue;
      const element = fill(index);
      const column = index % perRow;
      element.style.transform = `translate(calc(${column} * var(--step-x)), ${Math.floor(index / perRow) * height}px)`;
      shown.set(index, element);
      added.push(element);
    }
    container.append(...added);
  };
  draw.at = (index) => shown.get(index);
  return draw;
}
