// Selected images side by side, or two of them in one frame with a divider between them.

const DIVIDER_STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };

// Shown images, the mode, and the two images of the divided frame.
const side = { group: [], isWipe: false, pair: [0, 1] };

function openSide(group) {
  side.group = group;
  side.pair = [0, 1];
  drawSide();
  if (!$('side').open) $('side').showModal();
}

function drawSide() {
  const { group, isWipe } = side;
  const dialog = $('side');
  const isOnePrompt = new Set(group.map(({ job }) => job.prompt)).size === 1;
  const differing = differences(group);
  dialog.replaceChildren(
    el('div', { class: 'side-head' },
      isOnePrompt ? said('h2', group[0].job.prompt) : el('h2', { text: t('side_by_side') }),
      el('span', { class: 'dim', text: t(isWipe ? 'wipe_hint' : 'zoom_hint') }),
      el('button', { type: 'button', id: 'wipe', class: 'button', 'aria-pressed': String(isWipe), text: t('wipe'), onclick: turnWipe }),
      el('button', { type: 'button', class: 'tool icon', text: '×', 'aria-label': t('close'), title: t('close'), autofocus: !isWipe, onclick: () => dialog.close() })),
    isWipe ? wipeOf(group, differing) : sideBySide(group, differing, isOnePrompt));
  dialog.classList.remove('zoomed');
}

function sideBySide(group, differing, isOnePrompt) {
  return el('div', { class: `columns n${group.length}`, onpointermove: aim, onclick: zoomAll },
    group.map((entry) => el('figure', {},
      el('div', { class: 'lens' }, fullImage(entry)),
      el('figcaption', {},
        isOnePrompt ? null : said('p', entry.job.prompt, { class: 'clamp' }),
        el('button', { type: 'button', class: 'link', text: `#${entry.job.index}`, onclick: (event) => { event.stopPropagation(); $('side').close(); openDetail(entry, group); } }),
        el('dl', {}, [...differing.map(([name, valueOf]) => [name in WORDS ? t(name) : visible(name), String(valueOf(entry.job) ?? '')]),
          [t('seconds'), entry.job.seconds === null ? '' : seconds(entry.job.seconds)],
          [t('pixels'), pixels(entry.image)]]
          .map(([name, value]) => [el('dt', { dir: 'auto', text: name }), said('dd', value || '–')]))))));
}

function fullImage(entry) {
  if (!entry.url) return placeholder(entry);
  const image = el('img', { src: entry.url, alt: visible(`${entry.job.prompt}, ${cardLabel(entry.job)}`), draggable: 'false' });
  image.addEventListener('error', () => image.replaceWith(placeholder(entry)));
  return image;
}

function turnWipe() {
  side.isWipe = !side.isWipe;
  drawSide();
  (side.isWipe ? $('divider') : $('wipe')).focus();
}

// Two images in one frame: the left one as far as the divider, and the right one behind it.
function wipeOf(group, differing) {
  const [left, right] = side.pair.map((i) => group[i]);
  const labels = [left, right].map((entry) => visible(labelOf(entry, differing)));
  const divider = el('div', {
    id: 'divider', class: 'wipe', role: 'slider', tabindex: 0, autofocus: true, 'aria-orientation': 'horizontal', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': t('divider'),
    onpointerdown: (event) => { event.preventDefault(); divider.focus(); divider.setPointerCapture(event.pointerId); moveToPointer(event); },
    onpointermove: (event) => { if (divider.hasPointerCapture(event.pointerId)) moveToPointer(event); },
    onkeydown: (event) => {
      if (!(event.key in DIVIDER_STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
      move(Number(divider.getAttribute('aria-valuenow')) + DIVIDER_STEPS[event.key]);
      event.preventDefault();
    },
  },
    el('div', { class: 'layer' }, fullImage(right)), el('div', { class: 'layer left' }, fullImage(left)), el('i', { class: 'handle', 'aria-hidden': 'true' }),
    labels.map((label, i) => el('span', { class: `said tag ${i ? 'right' : 'left'}`, dir: 'auto', text: label })));
  divider.style.setProperty('--ratio', left.image.width / left.image.height);
  const move = (share) => {
    const now = Math.round(Math.max(0, Math.min(100, share)));
    divider.style.setProperty('--at', `${now}%`);
    divider.setAttribute('aria-valuenow', now);
    divider.setAttribute('aria-valuetext', t('divider_at', now, labels[0], labels[1]));
  };
  const moveToPointer = (event) => {
    const box = divider.getBoundingClientRect();
    move((100 * (event.clientX - box.left)) / box.width);
  };
  move(50);
  const choice = (nth, key) => el('label', {}, el('span', { text: t(key) }), el('select', { id: `wipe-${key}`, onchange: (event) => {
    // The two sides show two images.
    const other = side.pair[1 - nth];
    const chosen = Number(event.target.value);
    if (other === chosen) side.pair[1 - nth] = side.pair[nth];
    side.pair[nth] = chosen;
    drawSide();
    $(`wipe-${key}`).focus();
  } }, group.map((entry, i) => el('option', { value: i, text: `#${entry.job.index} ${visible(labelOf(entry, differing)).slice(0, 80)}`, selected: i === side.pair[nth] }))));
  return el('div', { class: 'wipe-frame' },
    group.length > 2 ? el('div', { class: 'matrix-bar' }, choice(0, 'left'), choice(1, 'right')) : null, el('div', { class: 'wipe-area' }, divider));
}

// All images show the same position.
function aim(event) {
  const lens = event.target.closest('.lens');
  if (!lens) return;
  const box = lens.getBoundingClientRect();
  $('side').style.setProperty('--x', `${(100 * (event.clientX - box.left)) / box.width}%`);
  $('side').style.setProperty('--y', `${(100 * (event.clientY - box.top)) / box.height}%`);
}

function zoomAll(event) {
  if (!event.target.closest('.lens')) return;
  aim(event);
  $('side').classList.toggle('zoomed');
}
