// Detail view: one image with all known facts, and the images before and after it.

// Open entry, and whether opening it added an entry to the browser's history.
const detail = { entry: null, list: [], isInHistory: false };

function openDetail(entry, list = found) {
  if (!entry) return;
  const wasOpen = detail.entry !== null;
  detail.entry = entry;
  detail.list = list;
  drawDetail();
  if (!$('detail').open) $('detail').showModal();
  const isNew = keepState(!wasOpen);
  if (!wasOpen) detail.isInHistory = isNew;
}

function closeDetail() {
  if (!detail.entry) return;
  const i = found.indexOf(detail.entry);
  detail.entry = null;
  $('detail').close();
  // The back gesture of a phone closes the image, and so does the close button.
  if (detail.isInHistory) history.back();
  detail.isInHistory = false;
  keepState();
  if (i >= 0 && state.view === 'images') moveTo(i);
}

function stepDetail(step) {
  const i = detail.list.indexOf(detail.entry) + step;
  if (i >= 0 && i < detail.list.length) openDetail(detail.list[i], detail.list);
}

function drawDetail() {
  const { entry, list } = detail;
  const { job, image, url } = entry;
  const i = list.indexOf(entry);
  const focused = document.activeElement?.id;
  const picked = picks.includes(entry);
  const full = image && url
    ? el('img', { src: url, alt: visible(job.prompt), class: 'full', title: isElsewhere ? t('elsewhere') : null, width: image.width, height: image.height }) : placeholder(entry);
  if (image && url) full.addEventListener('error', () => full.replaceWith(placeholder(entry)));
  const arrow = (id, key, step, path) => el('button', {
    type: 'button', id, class: `arrow ${id}`, 'aria-label': t(key), title: t(key), disabled: i + step < 0 || i + step >= list.length, onclick: () => stepDetail(step),
  }, svg('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: path })));
  const copy = button('copy', () => copyText(job.prompt).then(() => flash(copy, 'copied')), { id: 'copy' });
  $('detail').replaceChildren(
    el('figure', { tabindex: -1, autofocus: true }, full, arrow('previous', 'previous', -1, 'm10 3-5 5 5 5'), arrow('next', 'next', 1, 'm6 3 5 5-5 5')),
    el('div', { class: 'facts' },
      el('div', { class: 'facts-head' },
        el('h2', {}, el('span', { text: `#${job.index}` }), el('span', { class: `badge ${job.status}`, text: t(job.status) })),
        el('span', { class: 'dim', text: i < 0 ? '' : t('of', i + 1, list.length) }),
        el('button', { type: 'button', id: 'close', class: 'tool icon', text: '×', 'aria-label': t('close'), title: t('close'), onclick: closeDetail })),
      said('p', job.prompt, { class: 'prompt' }),
      el('div', { class: 'actions' }, copy,
        image && url && !isElsewhere ? el('a', { href: url, target: '_blank', rel: 'noopener noreferrer', class: 'button', text: t('open') }) : null,
        image ? button(picked ? 'unpick' : 'pick', () => { togglePick(entry); drawDetail(); }, { id: 'pick', 'aria-pressed': String(picked) }) : null),
      job.error ? el('div', { class: `why ${job.status}` }, el('b', { text: job.code }), said('p', job.error)) : null,
      el('dl', {}, factsOf(entry).map(([name, value]) => [el('dt', { dir: 'auto', text: name }), said('dd', value)]))));
  // The new arrow gets the focus of the old one, so that the user can press it again.
  if (focused) $(focused)?.focus();
}

// Returns all known facts of an entry as names and texts, in the order that a user expects.
function factsOf({ job, image }) {
  const facts = [
    [t('negative'), job.negative], [t('model'), job.model], [t('provider'), job.provider], [t('size'), job.size], [t('seed'), job.seed],
    [t('steps'), job.steps], [t('guidance'), job.guidance], ...(job.further ?? []).map(([name, value]) => [visible(name), value]),
    ...head.columns.map((column, i) => [visible(column), job.columns?.[i]]),
    [t('seconds'), job.seconds === null ? null : seconds(job.seconds)],
    [t('submitted'), job.submitted && moment(job.submitted)], [t('finished'), job.finished && moment(job.finished)],
    [t('pixels'), image && (isOtherSize({ job, image }) ? `${pixels(image)}: ${t('other_size', job.size)}` : pixels(image))], [t('bytes'), image && fileSize(image.bytes)],
    [t('file'), image && head.place ? `${head.place}/${image.file}` : image?.file], ['SHA-256', image?.sha256], [t('task'), job.task], [t('id'), job.id],
    [t('attempts'), job.attempts], [t('doubts'), job.in_doubt], [t('lost'), job.lost],
  ];
  return facts.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) =>
    [name, typeof value === 'number' ? number(value, 6) : value]);
}

// Whether the images are in object storage, where a browser cannot open them.
const isElsewhere = Boolean(head.place) && !head.place.startsWith('file://');

function detailKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'ArrowLeft') stepDetail(-1);
  else if (event.key === 'ArrowRight') stepDetail(1);
  else if (event.key === 'c') $('copy').click();
  else if (event.key === 'x') $('pick')?.click();
  else return;
  event.preventDefault();
}
