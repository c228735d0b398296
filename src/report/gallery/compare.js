// Comparison: prompts with several images, and any two to four selected images side by side.

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
  for (const cell of document.querySelectorAll('#grid .cell')) {
    cell.setAttribute('aria-selected', String(picks.includes(found[Number(cell.dataset.i)])));
  }
}

let drawGroups = null;

// Groups the images by prompt, for prompts with several images.
function groupsOf(list) {
  const groups = new Map();
  for (const entry of list) {
    if (!entry.image) continue;
    if (groups.has(entry.job.prompt)) groups.get(entry.job.prompt).push(entry);
    else groups.set(entry.job.prompt, [entry]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
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
  return el('div', { class: 'group', role: 'listitem', 'aria-setsize': n, 'aria-posinset': i + 1 },
    el('div', { class: 'group-head' },
      said('h3', group[0].job.prompt.slice(0, 300)),
      el('button', { type: 'button', class: 'button', text: t('compare_n', Math.min(PICKS_MAX, group.length)), onclick: () => openSide(group.slice(0, PICKS_MAX)) })),
    el('div', { class: 'strip' },
      group.slice(0, STRIP_MAX).map((entry) => el('button', { type: 'button', class: 'shot', onclick: () => openDetail(entry, group) },
        picture(entry, true), el('span', { class: 'said', dir: 'auto', text: visible(labelOf(entry, differing)) }))),
      group.length > STRIP_MAX ? el('button', { type: 'button', class: 'shot more', text: t('n_more', group.length - STRIP_MAX), onclick: () => openDetail(group[STRIP_MAX], group) }) : null));
}

// Returns the requested values in which the entries of a group differ.
function differences(group) {
  const asked = [
    ['model', (job) => job.model], ['size', (job) => job.size], ['seed', (job) => job.seed], ['steps', (job) => job.steps],
    ['guidance', (job) => job.guidance], ['negative', (job) => job.negative],
    ...head.columns.map((column, i) => [column, (job) => job.columns?.[i]]),
  ];
  return asked.filter(([, valueOf]) => new Set(group.map(({ job }) => valueOf(job) ?? '')).size > 1);
}

function labelOf({ job }, differing) {
  const label = differing.map(([name, valueOf]) => {
    const value = String(valueOf(job) ?? '');
    // The part before the name of a model is the same for most models.
    if (name === 'model') return value.split('/').pop();
    return value && (name in WORDS ? `${t(name)} ${value}` : value);
  }).filter(Boolean).join(' · ');
  return label || `#${job.index}`;
}

function openSide(group) {
  const dialog = $('side');
  const prompts = new Set(group.map(({ job }) => job.prompt));
  const isOnePrompt = prompts.size === 1;
  const differing = differences(group);
  dialog.replaceChildren(
    el('div', { class: 'side-head' },
      isOnePrompt ? said('h2', group[0].job.prompt) : el('h2', { text: t('side_by_side') }),
      el('span', { class: 'dim', text: t('zoom_hint') }),
      el('button', { type: 'button', class: 'tool icon', text: '×', 'aria-label': t('close'), title: t('close'), autofocus: true, onclick: () => dialog.close() })),
    el('div', { class: `columns n${group.length}`, onpointermove: aim, onclick: zoomAll },
      group.map((entry) => el('figure', {},
        el('div', { class: 'lens' }, entry.url ? el('img', { src: entry.url, alt: visible(entry.job.prompt), draggable: 'false' }) : placeholder(entry)),
        el('figcaption', {},
          isOnePrompt ? null : said('p', entry.job.prompt, { class: 'clamp' }),
          el('button', { type: 'button', class: 'link', text: `#${entry.job.index}`, onclick: (event) => { event.stopPropagation(); dialog.close(); openDetail(entry, group); } }),
          el('dl', {}, [...differing.map(([name, valueOf]) => [name in WORDS ? t(name) : visible(name), String(valueOf(entry.job) ?? '')]),
            [t('seconds'), entry.job.seconds === null ? '' : seconds(entry.job.seconds)],
            [t('pixels'), `${entry.image.width} × ${entry.image.height}`]]
            .map(([name, value]) => [el('dt', { dir: 'auto', text: name }), said('dd', value || '–')])))))));
  dialog.classList.remove('zoomed');
  if (!dialog.open) dialog.showModal();
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
