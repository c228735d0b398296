// Page as a whole: its state, which the URL keeps, its views and its keys.

const VIEWS = { images: gridView, compare: compareView, matrix: matrixView, failed: failedView, timing: timingView };
const VIEW_WORDS = { images: 'images', compare: 'compare', matrix: 'matrix', failed: 'failed_view', timing: 'timing' };
const KEYS = [
  ['/', 'key_search'], ['1 2 3 4 5', 'key_views'], ['← ↑ → ↓', 'key_move'], ['Enter', 'key_open'], ['Space', 'key_pick'], ['v', 'key_side'], ['w', 'key_wipe'],
  ['c', 'key_copy'], ['t', 'key_theme'], ['Esc', 'key_close'], ['?', 'key_help'],
];

// `rows` and `columns` are keys of the axes of the matrix, once the user has chosen them.
const state = { view: 'images', query: '', chosen: new Map(), order: 'index', isHiding: false, rows: null, columns: null, zoom: 2 };

function refresh() {
  find(state);
  for (const facet of facets) if (facet.list) drawValues(facet);
  drawChips();
  drawView();
  // A new result is shown from its first entry.
  if (scrollY > 0) scrollTo(0, 0);
  keepState();
}

function drawView() {
  const panel = $('panel');
  grid.draw = null;
  drawGroups = null;
  matrix.draw = null;
  document.body.dataset.view = state.view;
  panel.className = state.view;
  panel.setAttribute('aria-labelledby', `view-${state.view}`);
  $('sorting').hidden = !['images', 'compare'].includes(state.view);
  $('sizing').hidden = !['images', 'matrix'].includes(state.view);
  $('hiding').hidden = !hasModerated;
  $('hide').checked = state.isHiding;
  for (const tab of $('views').children) tab.setAttribute('aria-selected', String(tab.dataset.view === state.view));
  const words = VIEWS[state.view](panel);
  const nImages = found.reduce((n, { image }) => n + (image ? 1 : 0), 0);
  const images = nImages === nAllImages ? t('n_images', nImages) : t('of', nImages, t('n_images', nAllImages));
  $('count').textContent = words ?? (found.length > nImages ? t('and_without', images, t('n_without', found.length - nImages)) : images);
}

const nAllImages = entries.reduce((n, { image }) => n + (image ? 1 : 0), 0);

function show(view) {
  state.view = view;
  drawView();
  scrollTo(0, 0);
  keepState();
}

let keeping = 0;

// The URL holds the state of the view: a user can save it, send it, and return to it.

function stateText() {
  const words = new URLSearchParams();
  if (state.view !== 'images') words.set('view', state.view);
  if (state.query) words.set('q', state.query);
  if (state.order !== 'index') words.set('sort', state.order);
  if (state.isHiding) words.set('hide', 'moderated');
  if (state.rows) words.set('rows', state.rows);
  if (state.columns) words.set('columns', state.columns);
  for (const [key, values] of state.chosen) for (const value of values) words.append(`is.${key}`, value);
  if (detail.entry) words.set('open', `${detail.entry.job.index}${detail.entry.nth ? `.${detail.entry.nth + 1}` : ''}`);
  return `#${words}`;
}

// Writes the state to the URL. `isStep` adds an entry to the browser's history, for a step that a user may want to
// undo. Returns whether the history became longer.
function keepState(isStep = false) {
  clearTimeout(keeping);
  const keep = () => {
    const text = stateText();
    const isNew = text !== (location.hash || '#');
    if (isNew) history[isStep ? 'pushState' : 'replaceState'](null, '', text);
    return isNew;
  };
  if (isStep) return keep();
  // Browsers accept only a limited number of changes per second.
  keeping = setTimeout(keep, 200);
  return false;
}

function readState() {
  const words = new URLSearchParams(location.hash.slice(1));
  state.view = words.get('view') in VIEWS ? words.get('view') : 'images';
  state.order = words.get('sort') in ORDERS ? words.get('sort') : 'index';
  state.isHiding = hasModerated && words.get('hide') === 'moderated';
  for (const key of ['rows', 'columns']) state[key] = axisOf(words.get(key)) ? words.get(key) : null;
  state.chosen.clear();
  for (const facet of facets) {
    const values = words.getAll(`is.${facet.key}`).filter((value) => facet.places.has(value));
    if (values.length) state.chosen.set(facet.key, new Set(values));
  }
  setQuery(words.get('q') ?? '');
  $('sort').value = state.order;
  const [index, nth] = (words.get('open') ?? '').split('.');
  const entry = byIndex.get(Number(index))?.entries[nth ? nth - 1 : 0] ?? null;
  refresh();
  if (entry) openDetail(entry, found.includes(entry) ? found : entries);
  else if (detail.entry) {
    detail.isInHistory = false;
    closeDetail();
  }
}

function setQuery(query) {
  state.query = query;
  if ($('search').value !== query) $('search').value = query;
}

function draw() {
  translate();
  $('language').textContent = t('language_short');
  document.title = `${head.name} – promptbatch`;
  $('name').textContent = visible(head.name);
  $('standing').textContent = `${visible([...new Set([head.provider, ...jobs.map((job) => job.provider)])].slice(0, 5).join(', '))} · ${new Date(head.made).toLocaleString(locale(), { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' })}`;
  $('views').replaceChildren(...Object.keys(VIEWS).map((view) => el('button', {
    type: 'button', role: 'tab', id: `view-${view}`, 'data-view': view, 'aria-controls': 'panel', onclick: () => show(view),
  }, el('span', { text: t(VIEW_WORDS[view]) }), view === 'failed' && nFailed ? el('span', { class: 'count', text: number(nFailed) }) : null)));
  $('sort').replaceChildren(...Object.keys(ORDERS).map((order) => el('option', { value: order, text: t(`by_${order}`) })));
  $('sort').value = state.order;
  $('notice').hidden = jobs.length >= head.jobs;
  $('notice').textContent = t('notice_part', jobs.length, head.jobs);
  $('keys').replaceChildren(
    el('div', { class: 'facts-head' }, el('h2', { text: t('keys') }), el('button', { type: 'button', class: 'tool icon', text: '×', 'aria-label': t('close'), onclick: () => $('keys').close() })),
    el('dl', {}, KEYS.map(([keys, key]) => [el('dt', {}, keys.split(' ').map((name) => el('kbd', { text: name }))), el('dd', { text: t(key) })])));
  drawFacets((facet) => facet.openness ?? (facet.values.length <= 8 || ['status', 'model', 'size'].includes(facet.key)));
  drawPicks();
  drawChips();
  if (detail.entry) drawDetail();
}

function setLanguage(code) {
  language = code;
  draw();
  drawView();
}

function turnTheme() {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  setTheme(isDark ? 'light' : 'dark');
  remember('theme', document.documentElement.dataset.theme);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

function keyed(event) {
  if (event.key === 'Escape' && document.body.classList.contains('filtering')) return toggleFacets(false);
  if ($('detail').open) return detailKeys(event);
  if ($('side').open && event.key === 'w' && event.target.tagName !== 'SELECT') return turnWipe();
  if (document.querySelector('dialog[open]') || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== 'checkbox') {
    if (event.key === 'Escape' || (event.key === 'Enter' && event.target === $('search'))) (matrix.draw ? matrix.scroller : grid.list ?? event.target).focus();
    return undefined;
  }
  const views = Object.keys(VIEWS);
  if (event.key === '/') $('search').select();
  else if (event.key === '?') $('keys').showModal();
  else if (event.key === 't') turnTheme();
  else if (event.key === 'v' && picks.length > 1) openSide(picks);
  else if (views[Number(event.key) - 1]) show(views[Number(event.key) - 1]);
  else if (event.key.startsWith('Arrow') && state.view === 'images' && event.target === document.body) {
    grid.list.focus({ preventScroll: true });
    moved(event);
  } else return undefined;
  return event.preventDefault();
}

function listen() {
  $('search').addEventListener('input', () => { state.query = $('search').value; refresh(); });
  $('sort').addEventListener('change', () => { state.order = $('sort').value; refresh(); });
  $('hide').addEventListener('change', () => { state.isHiding = $('hide').checked; refresh(); });
  $('zoom').value = state.zoom;
  $('zoom').addEventListener('input', () => { state.zoom = Number($('zoom').value); remember('zoom', state.zoom); resized(); });
  $('theme').addEventListener('click', turnTheme);
  $('language').addEventListener('click', () => { setLanguage(1 - language); remember('language', language); });
  $('help').addEventListener('click', () => $('keys').showModal());
  $('filters').addEventListener('click', () => toggleFacets(!document.body.classList.contains('filtering')));
  document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); $('content').focus(); });
  $('detail').addEventListener('cancel', (event) => { event.preventDefault(); closeDetail(); });
  for (const dialog of document.querySelectorAll('dialog')) {
    // A click outside the dialog closes it.
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog === $('detail') ? closeDetail() : dialog.close(); });
  }
  addEventListener('keydown', keyed);
  addEventListener('scroll', scrolled, { passive: true });
  addEventListener('resize', resized);
  addEventListener('popstate', () => { if (stateText() !== (location.hash || '#')) readState(); });
}

// Draws once per frame, however many events occur.
let isScheduled = false;

function scrolled() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    fly(matrix.draw ? matrix.scroller.scrollTop + matrix.scroller.scrollLeft : scrollY);
    (grid.draw ?? drawGroups ?? matrix.draw)?.();
    if (grid.draw) mark();
    if (matrix.draw) markMatrix();
  });
}

function resized() {
  if (!grid.draw) return (drawGroups ?? matrix.draw)?.(true);
  const first = grid.columns * Math.max(0, Math.floor(-grid.list.getBoundingClientRect().top / (grid.cell + CAPTION + GAP)));
  measureGrid();
  grid.draw(true);
  if (first) scrollTo(0, scrollY + grid.list.getBoundingClientRect().top + Math.floor(first / grid.columns) * (grid.cell + CAPTION + GAP) - $('top').offsetHeight);
  grid.draw();
  return mark();
}

language = Number(remembered('language') ?? /^zh/i.test(navigator.language)) ? 1 : 0;
state.zoom = SIZES[remembered('zoom') ?? 2] ? Number(remembered('zoom') ?? 2) : 2;
if (['light', 'dark'].includes(remembered('theme'))) setTheme(remembered('theme'));
history.scrollRestoration = 'manual';
$('loading').remove();
draw();
listen();
readState();
