// Filters: the properties in which jobs differ, the number of jobs for each value, and the selected values.

// Maximum number of values of a facet that are shown at once.
const OFFERED_MAX = 10;
// Maximum number of values of a measure such as the seed. A measure with more values is not a filter.
const MEASURES_MAX = 50;

class Facet {
  constructor(key, title, valueOf) {
    this.key = key;
    this.title = title;
    this.values = [];
    this.places = new Map();
    this.codes = new Uint32Array(jobs.length);
    jobs.forEach((job, i) => {
      const value = String(valueOf(job) ?? '');
      let code = this.places.get(value);
      if (code === undefined) {
        code = this.values.length;
        this.places.set(value, code);
        this.values.push(value);
      }
      this.codes[i] = code;
    });
    this.counts = new Uint32Array(this.values.length);
    this.wanted = '';
  }

  // Returns the codes of the selected values. Null means that all values pass.
  chosenCodes(chosen) {
    const values = chosen.get(this.key);
    return values?.size ? new Set([...values].map((value) => this.places.get(value))) : null;
  }

  label(value) {
    if (value === '') return t('none');
    return this.key === 'status' ? t(value) : value;
  }
}

const facets = [
  new Facet('status', () => t('status'), (job) => job.status),
  new Facet('model', () => t('model'), (job) => job.model),
  new Facet('provider', () => t('provider'), (job) => job.provider),
  new Facet('size', () => t('size'), (job) => job.size),
  ...head.columns.map((column, i) => new Facet(`column.${column}`, () => visible(column), (job) => job.columns?.[i])),
  ...['seed', 'steps', 'guidance'].map((key) => new Facet(key, () => t(key), (job) => job[key]))
    .filter((facet) => facet.values.length <= MEASURES_MAX),
].filter((facet) => facet.values.length > 1 || facet.key === 'status');

function drawFacets(isOpen) {
  const panel = $('facets');
  panel.replaceChildren(el('div', { class: 'sheet-head' }, el('h2', { text: t('filters') }),
    button('close', () => toggleFacets(false), { class: 'tool' })));
  for (const facet of facets) {
    const list = el('ul');
    const count = el('span', { class: 'dim', text: facet.values.length > OFFERED_MAX ? t('n_values', facet.values.length) : '' });
    const section = el('details', { open: isOpen(facet), 'data-facet': facet.key, ontoggle: (event) => facet.openness = event.target.open },
      el('summary', {}, el('span', { class: 'title', dir: 'auto', text: facet.title() }), count));
    if (facet.values.length > OFFERED_MAX) {
      const input = el('input', { type: 'search', placeholder: t('find_value'), 'aria-label': `${facet.title()}: ${t('find_value')}`, dir: 'auto' });
      input.value = facet.wanted;
      input.addEventListener('input', () => { facet.wanted = input.value; drawValues(facet, list); });
      section.append(input);
    }
    facet.list = list;
    section.append(list);
    panel.append(section);
    drawValues(facet, list);
  }
}

// Draws the values of a facet. Few values keep their own order. Many are sorted by number of jobs, the selected ones
// first.
function drawValues(facet, list = facet.list) {
  const chosen = state.chosen.get(facet.key) ?? new Set();
  const wanted = plain(facet.wanted);
  const offered = [];
  facet.values.forEach((value, code) => {
    if (chosen.has(value) || !wanted || plain(facet.label(value)).includes(wanted)) offered.push([value, facet.counts[code], code]);
  });
  const isFew = facet.values.length <= OFFERED_MAX;
  offered.sort((a, b) => (isFew ? 0 : chosen.has(b[0]) - chosen.has(a[0]) || b[1] - a[1]) || a[2] - b[2]);
  const most = Math.max(OFFERED_MAX, chosen.size);
  const focused = list.contains(document.activeElement) ? document.activeElement.value : null;
  list.replaceChildren(...offered.slice(0, most).map(([value, n]) => {
    const box = el('input', { type: 'checkbox', value, onchange: () => choose(facet.key, value, box.checked) });
    box.checked = chosen.has(value);
    return el('li', {}, el('label', { class: n ? null : 'none' }, box,
      facet.key === 'status' ? el('i', { class: `dot ${value}` }) : null,
      said('span', facet.label(value), { title: visible(facet.label(value)) }), el('span', { class: 'n', text: number(n) })));
  }));
  if (offered.length > most) list.append(el('li', { class: 'dim', text: t('more_values', offered.length - most) }));
  // The checkbox in use was replaced, so its successor gets the focus.
  if (focused !== null) [...list.querySelectorAll('input')].find((box) => box.value === focused)?.focus();
}

function choose(key, value, isChosen) {
  const values = new Set(state.chosen.get(key));
  if (isChosen) values.add(value);
  else values.delete(value);
  if (values.size) state.chosen.set(key, values);
  else state.chosen.delete(key);
  refresh();
}

function drawChips() {
  const chips = [];
  for (const facet of facets) {
    for (const value of state.chosen.get(facet.key) ?? []) {
      const label = `${facet.title()}: ${facet.label(value)}`;
      chips.push(el('button', { type: 'button', class: 'chip', dir: 'auto', 'aria-label': t('remove_filter', label), onclick: () => choose(facet.key, value, false) },
        said('span', label), el('span', { text: '×', 'aria-hidden': true })));
    }
  }
  if (chips.length || state.query) {
    chips.push(button('clear', () => { state.chosen.clear(); setQuery(''); refresh(); }, { class: 'link' }));
  }
  $('chips').replaceChildren(...chips);
}

// Opens or closes the filters, which cover the page on a narrow screen.
function toggleFacets(isOpen) {
  document.body.classList.toggle('filtering', isOpen);
  $('filters').setAttribute('aria-expanded', String(isOpen));
  if (isOpen) $('facets').querySelector('button').focus();
  else $('filters').focus();
}
