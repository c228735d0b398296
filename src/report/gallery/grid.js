// Grid of all entries found, in which only the visible ones exist. The list has the focus, and its cursor marks the
// current entry.

const SIZES = [104, 140, 184, 244, 320];
const CAPTION = 80;
const GAP = 14;

const grid = { draw: null, list: null, cursor: 0, columns: 1, cell: 184 };

function gridView(panel) {
  const list = el('div', {
    id: 'grid', role: 'listbox', tabindex: 0, 'aria-multiselectable': 'true', 'aria-label': t('images'),
    onclick: (event) => clicked(event), onkeydown: (event) => moved(event), onfocus: () => mark(),
  });
  panel.replaceChildren(list);
  grid.list = list;
  grid.draw = virtual(list, {
    count: () => found.length,
    columns: () => grid.columns,
    rowHeight: () => grid.cell + CAPTION + GAP,
    fill: cellOf,
  });
  measureGrid();
  grid.cursor = Math.min(grid.cursor, Math.max(0, found.length - 1));
  grid.draw(true);
  mark();
  if (!found.length) panel.append(emptyNote('nothing', 'nothing_hint'));
}

// Uses as many columns as fit, each as wide as possible.
function measureGrid() {
  const width = grid.list.clientWidth;
  const wanted = Math.min(SIZES[state.zoom], (width - GAP) / 2);
  grid.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
  grid.cell = Math.floor((width - GAP * (grid.columns - 1)) / grid.columns);
  grid.list.style.setProperty('--cell', `${grid.cell}px`);
  grid.list.style.setProperty('--step-x', `${grid.cell + GAP}px`);
}

function cellOf(i) {
  const entry = found[i];
  const { job } = entry;
  const isPicked = picks.includes(entry);
  return el('div', {
    role: 'option', id: `entry-${i}`, class: 'cell', 'data-i': i, 'aria-selected': String(isPicked),
    'aria-setsize': found.length, 'aria-posinset': i + 1, 'aria-label': `#${job.index} ${t(job.status)}: ${visible(`${job.prompt.slice(0, 300)}, ${cardLabel(job)}`)}`,
  },
    picture(entry),
    entry.image ? el('span', { class: 'pick', 'aria-hidden': 'true', title: t('pick') }) : null,
    el('div', { class: 'caption' },
      said('p', job.prompt.slice(0, 300)),
      said('p', cardLabel(job), { class: 'dim which', title: visible(makerOf(job, job.model)) }),
      el('p', { class: 'dim' }, el('span', { text: `#${job.index}${entry.nth ? `.${entry.nth + 1}` : ''}` }),
        isOtherSize(entry) ? el('span', { class: 'other-size', title: t('other_size', job.size), text: pixels(entry.image) }) : null,
        job.seconds === null ? null : el('span', { text: seconds(job.seconds) }))));
}

// During fast scrolling no image is visible, and none is loaded.
const flight = { isFast: false, at: 0, landing: 0, waiting: new Set() };

function fly(at = scrollY) {
  flight.isFast = Math.abs(at - flight.at) > innerHeight / 2;
  flight.at = at;
  clearTimeout(flight.landing);
  flight.landing = setTimeout(land, 80);
}

function land() {
  flight.isFast = false;
  for (const [image, source] of flight.waiting) if (image.isConnected) image.src = source;
  flight.waiting.clear();
}

// Creates the thumbnail of an entry, or the reason why there is none.
function picture(entry, isAlt = false) {
  const source = thumbnail(entry);
  const frame = el('div', { class: 'frame' });
  if (source) {
    const image = el('img', { alt: isAlt ? visible(entry.job.prompt) : '', decoding: 'async', class: 'coming', draggable: 'false' });
    image.addEventListener('load', () => image.classList.remove('coming'));
    image.addEventListener('error', () => frame.replaceChildren(placeholder(entry)));
    if (flight.isFast) flight.waiting.add([image, source]);
    else image.src = source;
    frame.append(image);
  } else {
    frame.append(placeholder(entry));
  }
  return frame;
}

function placeholder({ job, image }) {
  return el('div', { class: 'placeholder' }, el('b', {}, el('i', { class: `dot ${image ? 'missing' : job.status}` }),
    el('span', { text: image ? t('no_thumbnail') : t(job.status) })), job.error ? said('small', job.error.slice(0, 200)) : null);
}

function clicked(event) {
  const cell = event.target.closest('.cell');
  if (!cell) return;
  grid.cursor = Number(cell.dataset.i);
  mark();
  if (event.target.closest('.pick') || event.ctrlKey || event.metaKey) togglePick(found[grid.cursor]);
  else openDetail(found[grid.cursor]);
}

function moved(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns, Home: -Infinity, End: Infinity };
  if (event.key in steps) {
    const to = grid.cursor + steps[event.key];
    // Steps beyond the first or the last row are ignored.
    if (Number.isFinite(to) && Math.abs(steps[event.key]) > 1 && (to < 0 || to >= found.length)) return event.preventDefault();
    moveTo(Math.max(0, Math.min(found.length - 1, to)));
  } else if (event.key === 'Enter') {
    if (found[grid.cursor]) openDetail(found[grid.cursor]);
  } else if (event.key === ' ') {
    if (found[grid.cursor]) togglePick(found[grid.cursor]);
  } else {
    return undefined;
  }
  return event.preventDefault();
}

function moveTo(i) {
  grid.cursor = i;
  const rowHeight = grid.cell + CAPTION + GAP;
  const top = grid.list.getBoundingClientRect().top + Math.floor(i / grid.columns) * rowHeight;
  const edge = $('top').offsetHeight + $('bar').offsetHeight + 8;
  if (top < edge) scrollBy(0, top - edge);
  else if (top + rowHeight > innerHeight - 8) scrollBy(0, top + rowHeight - innerHeight + 8);
  grid.draw();
  mark();
}

// Marks the position of the cursor, visibly and for a screen reader.
function mark() {
  grid.list.querySelector('.cursor')?.classList.remove('cursor');
  const cell = grid.draw.at(grid.cursor);
  cell?.classList.add('cursor');
  if (cell) grid.list.setAttribute('aria-activedescendant', cell.id);
  else grid.list.removeAttribute('aria-activedescendant');
}

function emptyNote(key, hint) {
  return el('div', { class: 'empty' }, el('p', { text: t(key) }), el('p', { class: 'dim', text: t(hint) }));
}
