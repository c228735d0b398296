// Comparison: prompts with several jobs, and two to four selected images.

const PICKS_MAX = 4;
// Maximum number of thumbnails drawn for a group. The detail view leads to the others.
const STRIP_MAX = 24;
const GROUP_HEIGHT = 262;

let picks = [];

function togglePick(entry) {
  if (!entry.image) return;
  picks = picks.includes(entry) ? picks.filter((other) => other !== entry) : [...picks, entry].slice(-PICKS_MAX);
  drawPicks();
}

function drawPicks() {
  const tray = $('tray');
  tray.hidden = !picks.length;
  tray.replaceChildren(
    ...picks.map((entry) => el('button', { type: 'button', class: 'thumb', title: t('unpick'), 'aria-label': `${t('unpick')}: #${entry.job.index}`, onclick: () => togglePick(entry) }, picture(entry))),
    el('button', { type: 'button', class: 'primary', disabled: picks.length < 2, text: picks.length < 2 ? t('pick_more') : t('compare_n', picks.length), onclick: () => openSide(picks) }),
    button('clear', () => { picks = []; drawPicks(); }, { class: 'link' }));
  // The last row of the matrix can be scrolled clear of the tray.
  document.body.classList.toggle('picking', picks.length > 0);
  for (const cell of document.querySelectorAll('#grid .cell')) {
    cell.setAttribute('aria-selected', String(picks.includes(found[Number(cell.dataset.i)])));
  }
  for (const tile of document.querySelectorAll('.tile')) tile.classList.toggle('picked', picks.includes(tiled.get(tile)));
  for (const cell of document.querySelectorAll('.gridcell')) cell.setAttribute('aria-selected', String(cell.querySelector('.picked') !== null));
}

let drawGroups = null;

// Groups the entries by prompt, for prompts with several of which one has an image. A job without an image keeps its
// place in the row.
function groupsOf(list) {
  const groups = new Map();
  for (const entry of list) {
    if (groups.has(entry.job.prompt)) groups.get(entry.job.prompt).push(entry);
    else groups.set(entry.job.prompt, [entry]);
  }
  return [...groups.values()].filter((group) => group.length > 1 && group.some(({ image }) => image));
}

// Selects the images of a comparison: one of each model (of each provider) first, all with the same seed where possible, and then the other
// seeds.
function oneOfEach(group) {
  const byModel = new Map();
  const modelsBySeed = new Map();
  for (const entry of group) {
    if (!entry.image) continue;
    const { seed = '' } = entry.job;
    const model = makerOf(entry.job, entry.job.model);
    if (!byModel.has(model)) byModel.set(model, []);
    byModel.get(model).push(entry);
    if (!modelsBySeed.has(seed)) modelsBySeed.set(seed, new Set());
    modelsBySeed.get(seed).add(model);
  }
  const spread = ({ job }) => modelsBySeed.get(job.seed ?? '').size;
  const seedPlaces = new Map([...modelsBySeed.keys()].map((seed, i) => [seed, i]));
  const place = ({ job }) => seedPlaces.get(job.seed ?? '');
  const rounds = [];
  for (const list of byModel.values()) {
    list.sort((a, b) => spread(b) - spread(a) || place(a) - place(b));
    const seen = new Set();
    const isAgain = (entry) => seen.size === seen.add(entry.job.seed ?? '').size;
    // Further images with the same seed come behind those of the other seeds.
    const again = list.filter(isAgain);
    [...list.filter((entry) => !again.includes(entry)), ...again].slice(0, PICKS_MAX).forEach((entry, round) => (rounds[round] ??= []).push(entry));
  }
  return rounds.flat().slice(0, PICKS_MAX);
}

function compareView(panel) {
  const groups = groupsOf(found);
  const list = el('div', { id: 'groups', role: 'list' });
  panel.replaceChildren(list);
  list.style.setProperty('--step-x', '0px');
  drawGroups = virtual(list, { count: () => groups.length, columns: () => 1, rowHeight: () => GROUP_HEIGHT, fill: (i) => groupOf(groups[i], i, groups.length) });
  drawGroups(true);
  if (!groups.length) panel.append(emptyNote('no_groups', 'no_groups_hint'));
  return t('groups', groups.length);
}

function groupOf(group, i, n) {
  const differing = differences(group);
  const picked = oneOfEach(group);
  return el('div', { class: 'group', role: 'listitem', 'aria-setsize': n, 'aria-posinset': i + 1 },
    el('div', { class: 'group-head' },
      said('h3', group[0].job.prompt.slice(0, 300)),
      el('button', { type: 'button', class: 'button', disabled: picked.length < 2, text: t('compare_n', picked.length), onclick: () => openSide(picked) })),
    el('div', { class: 'strip' },
      group.slice(0, STRIP_MAX).map((entry) => el('button', { type: 'button', class: 'shot', onclick: () => openDetail(entry, group) },
        picture(entry, true), el('span', { class: 'said', dir: 'auto', text: visible(labelOf(entry, differing)) }))),
      group.length > STRIP_MAX ? el('button', { type: 'button', class: 'shot more', text: t('n_more', group.length - STRIP_MAX), onclick: () => openDetail(group[STRIP_MAX], group) }) : null));
}

// Returns the requested values in which the entries of a group differ.
function differences(group) {
  const asked = [
    ['model', (job) => job.model], ['provider', (job) => job.provider], ['size', (job) => job.size], ['seed', (job) => job.seed], ['steps', (job) => job.steps],
    ['guidance', (job) => job.guidance], ['negative', (job) => job.negative],
    ...head.columns.map((column, i) => [column, (job) => job.columns?.[i]]),
  ];
  return asked.filter(([, valueOf]) => new Set(group.map(({ job }) => valueOf(job) ?? '')).size > 1);
}

function labelOf({ job }, differing) {
  const label = differing.map(([name, valueOf]) => {
    const value = String(valueOf(job) ?? '');
    if (name === 'model') return modelName(value);
    if (name === 'provider') return value;
    return value && (name in WORDS ? `${t(name)} ${value}` : value);
  }).filter(Boolean).join(' · ');
  return label || `#${job.index}`;
}
