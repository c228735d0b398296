// Creation of elements: text from outside becomes text or an attribute, and never markup.

const $ = (id) => document.getElementById(id);

// Creates an element with attributes and children. `on…` attributes are listeners, and `text` is the text of the
// element. Null and false are left out.
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

// Creates an element for text from people. It keeps its own direction, whatever direction marks it contains. Control
// characters are made visible, not obeyed.
function said(tag, text, attributes = {}) {
  return el(tag, { dir: 'auto', text: visible(text), ...attributes, class: `said ${attributes.class ?? ''}`.trim() });
}

function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (c) =>
    String.fromCharCode(c === '\u007f' ? 0x2421 : 0x2400 + c.charCodeAt(0)));
}

// Converts a path below OUT to a URL, with special characters encoded. Returns null for a path that leads elsewhere.
function address(path) {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return null;
  return './' + parts.map(encodeURIComponent).join('/');
}

function button(key, action, attributes = {}) {
  return el('button', { type: 'button', text: t(key), onclick: action, ...attributes });
}

// Fills in the texts of the static elements of the page.
function translate() {
  document.documentElement.lang = locale();
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-t-hint]')) element.placeholder = t(element.dataset.tHint);
  for (const element of document.querySelectorAll('[data-t-label]')) {
    element.setAttribute('aria-label', t(element.dataset.tLabel));
    if (element.tagName === 'BUTTON') element.title = t(element.dataset.tLabel);
  }
}

// Stores a preference of the user, if the browser allows it.
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

// Shows a message for a moment, in place of a button's label.
function flash(element, key) {
  const before = element.textContent;
  element.textContent = t(key);
  setTimeout(() => { element.textContent = before; }, 1200);
}

// Creates a list in which only the visible elements exist. `fill(index)` creates an element, and all rows have the same
// height. Returns a function that redraws the list. Its argument `true` discards the existing elements first.
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
