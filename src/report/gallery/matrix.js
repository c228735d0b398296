// Matrix: jobs in rows and columns that the user chooses. A place without a job stays empty. Only the visible cells exist.

// Maximum number of tiles in a cell. The last one leads to the images that have no tile.
const TILES_MAX = 4;
// Browsers limit the height of an element.
const MATRIX_PIXELS_MAX = 15_000_000;
const MATRIX_GAP = 8;
const COLUMN_HEAD = 44;

const numeric = (a, b) => Number(a) - Number(b);
const area = (size) => size.split('x').reduce((product, side) => product * Number(side), 1);

// Properties that can be rows or columns. Values without an order of their own are in the order of the manifest.
const axes = [
  { key: 'prompt', title: () => t('prompt'), valueOf: ({ job }) => job.prompt },
  { key: 'model', title: () => t('model'), valueOf: ({ job }) => job.model, label: modelName },
  ...(hasProviders ? [{ key: 'provider', title: () => t('provider'), valueOf: ({ job }) => job.provider }] : []),
  { key: 'seed', title: () => t('seed'), valueOf: ({ job }) => job.seed, order: numeric },
  { key: 'size', title: () => t('size'), valueOf: ({ job }) => job.size, order: (a, b) => area(a) - area(b) },
  { key: 'n', title: () => t('n'), valueOf: ({ job, nth }) => `${job.n ?? 1}${nth ? `.${nth + 1}` : ''}`, order: numeric },
  ...head.columns.map((column, i) => ({ key: `column.${column}`, title: () => visible(column), valueOf: ({ job }) => job.columns?.[i] })),
  ...[['negative'], ['steps', numeric], ['guidance', numeric]].filter(([key]) => jobs.some((job) => job[key] !== undefined))
    .map(([key, order]) => ({ key, title: () => t(key), valueOf: ({ job }) => job[key], order })),
];
const axisOf = (key) => axes.find((axis) => axis.key === key);

// Returns the values of an axis in their order, and their positions. Numbers are sorted, and the empty value is last.
function valuesOf(axis, list) {
  const values = [...new Set(list.map((entry) => String(axis.valueOf(entry) ?? '')))];
  const isNumeric = !axis.order && axis.key.startsWith('column.') && values.every((value) => Number.isFinite(Number(value)));
  const order = isNumeric ? numeric : axis.order;
  values.sort((a, b) => (a === '') - (b === '') || (order?.(a, b) || 0));
  return { values, places: new Map(values.map((value, i) => [value, i])) };
}

// Axes for a user who has chosen none: prompts in rows, and in columns the first property with several values.
function defaultColumns(rows) {
  const several = (axis) => axis.key !== rows && axis.key !== 'prompt' && new Set(entries.map((entry) => axis.valueOf(entry) ?? '')).size > 1;
  const offered = [...['model', 'provider', 'seed', 'size', 'n'].map(axisOf).filter(Boolean), ...axes];
  return offered.find(several) ?? axisOf(rows === 'model' ? 'prompt' : 'model');
}

const matrix = { scroller: null, draw: null, row: 0, column: 0 };

function chosenAxes() {
  const rows = axisOf(state.rows) ?? axisOf(state.columns === 'prompt' ? 'model' : 'prompt');
  const columns = axisOf(state.columns);
  matrix.ownColumns ??= new Map();
  if (!matrix.ownColumns.has(rows.key)) matrix.ownColumns.set(rows.key, defaultColumns(rows.key));
  return [rows, columns && columns !== rows ? columns : matrix.ownColumns.get(rows.key)];
}

function matrixView(panel) {
  const [rows, columns] = chosenAxes();
  const choice = (name, axis, other) => {
    const select = el('select', { id: `axis-${name}`, onchange: () => {
      // An axis that is chosen twice changes places with the other one.
      const taken = select.value === other.key ? axis.key : other.key;
      [state.rows, state.columns] = name === 'rows' ? [select.value, taken] : [taken, select.value];
      show('matrix');
      $(`axis-${name}`).focus();
    } }, axes.map(({ key, title }) => el('option', { value: key, text: title(), selected: key === axis.key })));
    return el('label', {}, el('span', { text: t(name) }), select);
  };
  const swap = el('button', { type: 'button', id: 'swap', class: 'tool icon', text: '⇄', 'aria-label': t('swap'), title: t('swap'), onclick: () => {
    [state.rows, state.columns] = [columns.key, rows.key];
    show('matrix');
    $('swap').focus();
  } });
  const frame = el('div', { class: 'matrix-frame' });
  panel.replaceChildren(el('div', { class: 'matrix-bar' }, choice('rows', rows, columns), swap, choice('columns', columns, rows)), frame);
  if (!found.length) {
    panel.append(emptyNote('nothing', 'nothing_hint'));
    return undefined;
  }
  const [down, across] = [valuesOf(rows, found), valuesOf(columns, found)];
  const cells = new Map();
  for (const entry of found) {
    const place = down.places.get(String(rows.valueOf(entry) ?? '')) * across.values.length + across.places.get(String(columns.valueOf(entry) ?? ''));
    if (cells.has(place)) cells.get(place).push(entry);
    else cells.set(place, [entry]);
  }
  Object.assign(matrix, { rows, columns, down: down.values, across: across.values, cells });
  matrix.row = Math.min(matrix.row, down.values.length - 1);
  matrix.column = Math.min(matrix.column, across.values.length - 1);
  drawTable(frame);
  return `${t('n_rows', down.values.length)} × ${t('n_columns', across.values.length)}`;
}

function drawTable(frame) {
  const { rows, columns, down, across } = matrix;
  const header = el('div', { role: 'row', class: 'matrix-head', 'aria-rowindex': 1 },
    el('div', { role: 'columnheader', class: 'corner', 'aria-colindex': 1, dir: 'auto', text: `${rows.title()} \\ ${columns.title()}` }));
  const body = el('div', { role: 'rowgroup', class: 'matrix-body' });
  const scroller = el('div', {
    id: 'matrix', role: 'grid', tabindex: 0, 'aria-label': t('matrix'), 'aria-rowcount': down.length + 1, 'aria-colcount': across.length + 1, 'aria-multiselectable': 'true',
    onclick: clickedMatrix, onkeydown: movedInMatrix, onfocus: markMatrix, onscroll: scrolled,
  }, header, body);
  frame.replaceChildren(scroller);
  Object.assign(matrix, { scroller, header, body, shownRows: new Map(), shownHeads: new Map() });
  matrix.draw = drawMatrix;
  measureMatrix();
  if (matrix.nRows < down.length) frame.after(el('p', { class: 'dim', text: t('rows_part', matrix.nRows, down.length) }));
  drawMatrix();
  markMatrix();
}

// Uses the rest of the window. Heads are narrower on a narrow screen, so that at least one column is visible.
function measureMatrix() {
  const { scroller, header, body, down, across } = matrix;
  const top = scroller.getBoundingClientRect().top + scrollY;
  scroller.style.maxHeight = `${Math.max(280, innerHeight - top - 14)}px`;
  const width = scroller.parentElement.clientWidth;
  matrix.head = width < 600 ? 104 : 208;
  matrix.cell = Math.max(96, Math.min(SIZES[state.zoom], width - matrix.head - 24));
  matrix.step = matrix.cell + MATRIX_GAP;
  matrix.nRows = Math.min(down.length, Math.floor(MATRIX_PIXELS_MAX / matrix.step));
  matrix.nColumns = Math.min(across.length, Math.floor(MATRIX_PIXELS_MAX / matrix.step));
  scroller.style.setProperty('--head', `${matrix.head}px`);
  scroller.style.setProperty('--cell', `${matrix.cell}px`);
  header.style.width = body.style.width = `${matrix.head + matrix.nColumns * matrix.step}px`;
  body.style.height = `${matrix.nRows * matrix.step}px`;
}

// Keeps exactly these elements: removes the others, and creates the missing ones.
function keepShown(shown, parent, [from, to], fill) {
  for (const [i, element] of shown) {
    if (i >= from && i < to) continue;
    element.remove();
    shown.delete(i);
  }
  for (let i = from; i < to; i += 1) {
    if (shown.has(i)) continue;
    shown.set(i, fill(i));
    parent.append(shown.get(i));
  }
}

function drawMatrix(isAnew = false) {
  const { scroller, header, body, shownRows, shownHeads, step, head: headWidth, nRows, nColumns } = matrix;
  if (isAnew) {
    measureMatrix();
    for (const shown of [shownRows, shownHeads]) keepShown(shown, body, [0, 0]);
  }
  const range = (at, length, n) => [Math.max(0, Math.floor(at / step) - 1), Math.min(n, Math.ceil((at + length) / step) + 1)];
  const acrossRange = range(scroller.scrollLeft, scroller.clientWidth - headWidth, nColumns);
  const left = (column) => `${headWidth + column * step}px`;
  keepShown(shownHeads, header, acrossRange, (column) => {
    const element = headOf('columnheader', matrix.columns, matrix.across[column], { 'aria-colindex': column + 2 });
    element.style.left = left(column);
    return element;
  });
  keepShown(shownRows, body, range(scroller.scrollTop, scroller.clientHeight - COLUMN_HEAD, nRows), (row) => {
    const element = el('div', { role: 'row', class: 'matrix-row', 'aria-rowindex': row + 2 }, rowHead(row));
    element.style.top = `${row * step}px`;
    element.shownCells = new Map();
    return element;
  });
  for (const [row, element] of shownRows) {
    keepShown(element.shownCells, element, acrossRange, (column) => {
      const cell = matrixCell(row, column);
      cell.style.left = left(column);
      return cell;
    });
  }
}

function headOf(role, axis, value, attributes = {}) {
  const label = value === '' ? t('none') : (axis.label ?? String)(value).slice(0, 400);
  return el('div', { role, class: role, title: visible(value), ...attributes }, said('span', label));
}

function rowHead(row) {
  const element = headOf('rowheader', matrix.rows, matrix.down[row], { 'aria-colindex': 1 });
  const picked = oneOfEach(rowEntries(row));
  if (picked.length > 1) {
    element.append(el('button', { type: 'button', class: 'link', tabindex: -1, text: t('compare_n', picked.length), onclick: () => openSide(picked) }));
  }
  return element;
}

const cellEntries = (row, column) => matrix.cells.get(row * matrix.across.length + column) ?? [];
const rowEntries = (row) => matrix.across.flatMap((_, column) => cellEntries(row, column));
// Entries of the tiles on the screen.
const tiled = new WeakMap();

function matrixCell(row, column) {
  const list = cellEntries(row, column);
  const summaries = list.slice(0, 20).map(({ job }) => `#${job.index} ${t(job.status)}${job.error ? `: ${visible(job.error.slice(0, 200))}` : ''}`);
  const nTiles = list.length > TILES_MAX ? TILES_MAX - 1 : list.length;
  return el('div', {
    role: 'gridcell', id: `cell-${row}-${column}`, class: list.length ? 'gridcell' : 'gridcell gap', 'aria-colindex': column + 2, 'data-row': row, 'data-column': column,
    'aria-label': summaries.join('; ') || t('gap'), 'aria-selected': String(list.some((entry) => picks.includes(entry))), title: list.length ? null : t('gap'),
  }, list.length ? el('div', { class: `tiles n${Math.min(list.length, TILES_MAX)}` }, list.slice(0, nTiles).map(tileOf),
    nTiles < list.length ? el('div', { class: 'tile more', title: t('n_more', list.length - nTiles), text: `+${number(list.length - nTiles)}` }) : null) : '–');
}

function tileOf(entry) {
  const { job } = entry;
  const tile = el('div', { class: picks.includes(entry) ? 'tile picked' : 'tile', title: visible([`#${job.index}`, cardLabel(job), job.error].filter(Boolean).join(' · ').slice(0, 400)) },
    picture(entry), entry.image ? el('span', { class: 'pick', 'aria-hidden': 'true' }) : null);
  tiled.set(tile, entry);
  return tile;
}

function clickedMatrix(event) {
  const cell = event.target.closest('.gridcell');
  if (!cell) return;
  matrix.row = Number(cell.dataset.row);
  matrix.column = Number(cell.dataset.column);
  markMatrix();
  const tile = event.target.closest('.tile');
  const entry = tiled.get(tile);
  if (entry && (event.target.closest('.pick') || event.ctrlKey || event.metaKey)) togglePick(entry);
  else if (entry) openDetail(entry, rowEntries(matrix.row));
  else if (tile) openDetail(cellEntries(matrix.row, matrix.column)[TILES_MAX - 1], rowEntries(matrix.row));
}

function movedInMatrix(event) {
  if (event.altKey || event.target !== matrix.scroller) return;
  const { nRows, nColumns, scroller, step } = matrix;
  const page = Math.max(1, Math.floor((scroller.clientHeight - COLUMN_HEAD) / step));
  const isFar = event.ctrlKey || event.metaKey;
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-page, 0], PageDown: [page, 0],
    Home: [isFar ? -nRows : 0, -nColumns], End: [isFar ? nRows : 0, nColumns],
  };
  const list = cellEntries(matrix.row, matrix.column);
  if (event.key in steps) {
    const [down, across] = steps[event.key];
    matrix.row = Math.max(0, Math.min(nRows - 1, matrix.row + down));
    matrix.column = Math.max(0, Math.min(nColumns - 1, matrix.column + across));
    scrollToCell();
  } else if (isFar) return;
  else if (event.key === 'Enter') {
    if (list.length) openDetail(list[0], rowEntries(matrix.row));
  } else if (event.key === ' ') {
    const entry = list.find(({ image }) => image);
    if (entry) togglePick(entry);
  } else if (event.key === 'v' && picks.length < 2) {
    const picked = oneOfEach(rowEntries(matrix.row));
    if (picked.length > 1) openSide(picked);
  } else return;
  event.preventDefault();
}

function scrollToCell() {
  const { scroller, row, column, step, head: headWidth } = matrix;
  const into = (at, position, length) => Math.min(position, Math.max(at, position + step - length));
  scroller.scrollTop = into(scroller.scrollTop, row * step, scroller.clientHeight - COLUMN_HEAD);
  scroller.scrollLeft = into(scroller.scrollLeft, column * step, scroller.clientWidth - headWidth);
  drawMatrix();
  markMatrix();
}

// Marks the cell of the cursor, visibly and for a screen reader.
function markMatrix() {
  const { scroller, shownRows, row, column } = matrix;
  scroller.querySelector('.cursor')?.classList.remove('cursor');
  const cell = shownRows.get(row)?.shownCells.get(column);
  cell?.classList.add('cursor');
  if (cell) scroller.setAttribute('aria-activedescendant', cell.id);
  else scroller.removeAttribute('aria-activedescendant');
}
