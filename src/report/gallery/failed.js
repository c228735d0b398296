// Failed jobs by reason: how many of each reason, and which.

// Number of jobs of one reason that are listed at once.
const LISTED = 100;

function failedView(panel) {
  const reasons = new Map();
  const failed = foundJobs.filter((job) => FAILED.has(job.status));
  for (const job of failed) {
    const key = `${job.code ?? ''}\n${reasonOf(job)}`;
    if (reasons.has(key)) reasons.get(key).push(job);
    else reasons.set(key, [job]);
  }
  const sorted = [...reasons.values()].sort((a, b) => b.length - a.length);
  panel.replaceChildren(el('div', { id: 'reasons' }, sorted.map((list, i) => reason(list, failed.length, i < 3))));
  if (!failed.length) panel.append(emptyNote(nFailed ? 'nothing' : 'all_well', nFailed ? 'nothing_hint' : 'all_well_hint'));
  return `${t('n_jobs', failed.length)}, ${t('reasons', sorted.length)}`;
}

// Numbers and ids in a message rarely make it another reason.
function reasonOf(job) {
  return (job.error ?? '').replace(/[0-9a-f]{8}-[0-9a-f-]{27,}|\b[0-9a-f]{16,}\b|\d+/gi, '…');
}

function reason(list, n, isOpen) {
  const [{ status, code, error }] = list;
  const body = el('ol');
  const more = button('show_more', () => add(), { class: 'button' });
  let nShown = 0;
  const entries = list.flatMap((job) => job.entries);
  const add = () => {
    body.append(...list.slice(nShown, nShown + LISTED).map((job) => el('li', {},
      el('button', { type: 'button', onclick: () => openDetail(job.entries[0], entries) },
        el('span', { class: 'dim', text: `#${job.index}` }), said('span', job.prompt.slice(0, 300)), said('span', makerOf(job, job.model), { class: 'dim' })))));
    nShown = Math.min(list.length, nShown + LISTED);
    more.hidden = nShown === list.length;
  };
  add();
  const bar = el('span', { class: 'share', 'aria-hidden': 'true' }, el('i'));
  bar.firstChild.style.width = `${(100 * list.length) / n}%`;
  return el('details', { open: isOpen, class: 'reason' },
    el('summary', {}, el('b', { class: 'n', text: number(list.length) }), el('span', { class: `badge ${status}`, text: code || t(status) }),
      said('span', error ?? '', { class: 'message' }), bar),
    body, more);
}
