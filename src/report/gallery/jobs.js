// Jobs of the page: how they are searched, filtered and sorted.

const head = JSON.parse($('head').textContent);
const jobs = [];
const without = new Set(JSON.parse($('without').textContent));

// Returns the URL of an image. A browser cannot open object storage: the thumbnail then stands for the image.
function addressOf(image) {
  const path = address(image.file);
  if (!path || !head.place) return path;
  if (head.place.startsWith('file://')) return head.place.split('/').map((part, i) => i < 3 ? part : encodeURIComponent(part)).join('/') + path.slice(1);
  return thumbnail({ image, url: path });
}

// Items of the grid: images, and jobs without an image.
const entries = [];
// Entries that pass the filters, in order.
let found = [];
// Jobs that pass the filters.
let foundJobs = [];

for (const block of document.querySelectorAll('script.jobs')) {
  for (const job of JSON.parse(block.textContent)) {
    job.entries = [];
    job.seconds = job.finished && job.submitted ? Math.max(0, job.finished - job.submitted) / 1000 : null;
    for (const [nth, image] of (job.images ?? [null]).entries()) {
      const entry = { job, image, nth, url: image && addressOf(image) };
      job.entries.push(entry);
      entries.push(entry);
    }
    jobs.push(job);
  }
  // The text is not needed again.
  block.remove();
}
// The run's own provider has the jobs whose rows name none.
for (const job of jobs) job.provider ??= head.provider.split(' ')[0];
const hasProviders = new Set(jobs.map((job) => job.provider)).size > 1;
const byIndex = new Map(jobs.map((job) => [job.index, job]));
const FAILED = new Set(['failed', 'moderated', 'in_doubt']);
const nFailed = jobs.filter((job) => FAILED.has(job.status)).length;
const hasModerated = jobs.some((job) => job.status === 'moderated');

// Names of models as they are shown: the part behind the owner, where it names one model only.
const tailOf = (model) => model.split('/').pop();
const modelNames = new Map();
for (const { model } of jobs) if (!modelNames.has(model)) modelNames.set(model, tailOf(model));
const nByTail = new Map();
for (const tail of modelNames.values()) nByTail.set(tail, (nByTail.get(tail) ?? 0) + 1);
const modelName = (model) => nByTail.get(modelNames.get(model)) === 1 && modelNames.get(model) || model;

// Returns what made an image: the model, and the provider where a run has several.
const makerOf = (job, model = modelName(job.model)) => hasProviders ? `${model} · ${job.provider}` : model;

// Returns what distinguishes the images of one prompt: the model, the provider and the seed.
const cardLabel = (job) => [makerOf(job), job.seed === undefined ? null : `${t('seed')} ${job.seed}`].filter(Boolean).join(' · ');

const pixels = ({ width, height }) => `${width} × ${height}`;

// Returns whether an image does not have the size that its request asked for.
const isOtherSize = ({ job, image }) => Boolean(image && job.size) && job.size !== `${image.width}x${image.height}`;

// Returns the URL of a thumbnail. Thumbnails are named by the first half of the image's sha256.
function thumbnail({ image, url }) {
  if (!image || !url || without.has(image.sha256) || !/^[0-9a-f]{64}$/.test(image.sha256)) return null;
  return `./gallery/${image.sha256.slice(0, 2)}/${image.sha256.slice(2, 32)}.jpg`;
}

// Normalizes text for a search that ignores case, width and composition, in every script.
const plain = (text) => text.normalize('NFKC').toLowerCase();

let isReadyToSearch = false;

function readyToSearch() {
  if (isReadyToSearch) return;
  isReadyToSearch = true;
  for (const job of jobs) job.plain = plain([job.prompt, job.negative ?? '', job.id, ...(job.columns ?? [])].join('\n'));
}

// Returns a predicate for jobs. All words of the query must be in the prompt, the negative prompt, the id or a column of
// the manifest. `#12` finds the job of that index. The whole id of a task and the name of an image file find their job.
function matcher(query) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  readyToSearch();
  const numbered = /^#(\d+)$/.exec(query.trim());
  const name = query.trim();
  const isNamed = (job) => job.task === name || (job.images ?? []).some(({ file }) => file === name || file.endsWith(`/${name}`));
  return (job) => (numbered ? job.index === Number(numbered[1]) : isNamed(job)) || words.every((word) => job.plain.includes(word));
}

const ORDERS = {
  index: null,
  slowest: (a, b) => (b.job.seconds ?? -1) - (a.job.seconds ?? -1),
  fastest: (a, b) => (a.job.seconds ?? Infinity) - (b.job.seconds ?? Infinity),
  newest: (a, b) => (b.job.finished ?? 0) - (a.job.finished ?? 0),
  oldest: (a, b) => (a.job.finished ?? Infinity) - (b.job.finished ?? Infinity),
};

// Filters and sorts. The counts of every facet include the jobs that pass all other facets.
function find({ query, chosen, order, isHiding }) {
  const matches = matcher(query);
  foundJobs = [];
  for (const facet of facets) facet.counts.fill(0);
  const chosenCodes = facets.map((facet) => facet.chosenCodes(chosen));
  if (isHiding) chosenCodes[0] = new Set(facets[0].values.map((_, code) => code).filter((code) =>
    facets[0].values[code] !== 'moderated' && (chosenCodes[0]?.has(code) ?? true)));
  for (let i = 0; i < jobs.length; i += 1) {
    if (!matches(jobs[i])) continue;
    let nRefusing = 0;
    let refusing = -1;
    for (let f = 0; f < facets.length && nRefusing < 2; f += 1) {
      if (chosenCodes[f] && !chosenCodes[f].has(facets[f].codes[i])) {
        nRefusing += 1;
        refusing = f;
      }
    }
    if (nRefusing === 0) {
      foundJobs.push(jobs[i]);
      for (const facet of facets) facet.counts[facet.codes[i]] += 1;
    } else if (nRefusing === 1) {
      facets[refusing].counts[facets[refusing].codes[i]] += 1;
    }
  }
  found = foundJobs.length === jobs.length ? entries.slice() : foundJobs.flatMap((job) => job.entries);
  if (ORDERS[order]) found.sort(ORDERS[order]);
}
