// The jobs of the page, how they are searched, and what is left of them and in which order.

const head = JSON.parse($('head').textContent);
const jobs = [];
const without = new Set(JSON.parse($('without').textContent));

// An entry is what has a place in the grid: an image, or a job that has none.
const entries = [];
// Of all entries, those that pass the filters, in order.
let found = [];
// Of all jobs, those that pass.
let foundJobs = [];

for (const block of document.querySelectorAll('script.jobs')) {
  for (const job of JSON.parse(block.textContent)) {
    job.entries = [];
    job.seconds = job.finished && job.submitted ? Math.max(0, job.finished - job.submitted) / 1000 : null;
    for (const [nth, image] of (job.images ?? [null]).entries()) {
      const entry = { job, image, nth, url: image && address(image.file) };
      job.entries.push(entry);
      entries.push(entry);
    }
    jobs.push(job);
  }
  // The text is not needed twice.
  block.remove();
}
const byIndex = new Map(jobs.map((job) => [job.index, job]));
const FAILED = new Set(['failed', 'moderated', 'in_doubt']);
const nFailed = jobs.filter((job) => FAILED.has(job.status)).length;

// Thumbnails are named by the first half of the image's sha256.
function thumbnail({ image, url }) {
  if (!image || !url || without.has(image.sha256) || !/^[0-9a-f]{64}$/.test(image.sha256)) return null;
  return `./gallery/${image.sha256.slice(0, 2)}/${image.sha256.slice(2, 32)}.jpg`;
}

// As one searches: without regard to capitals, width or composition, in every script.
const plain = (text) => text.normalize('NFKC').toLowerCase();

let isReadyToSearch = false;

function readyToSearch() {
  if (isReadyToSearch) return;
  isReadyToSearch = true;
  for (const job of jobs) job.plain = plain(job.prompt);
}

// All words of it must be in the prompt; `#12` is the job of that number, and an id is found too.
function matcher(query) {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  readyToSearch();
  const numbered = /^#(\d+)$/.exec(query.trim());
  const id = query.trim();
  return (job) => (numbered && job.index === Number(numbered[1])) || job.id === id
    || words.every((word) => job.plain.includes(word));
}

const ORDERS = {
  index: null,
  slowest: (a, b) => (b.job.seconds ?? -1) - (a.job.seconds ?? -1),
  fastest: (a, b) => (a.job.seconds ?? Infinity) - (b.job.seconds ?? Infinity),
  newest: (a, b) => (b.job.finished ?? 0) - (a.job.finished ?? 0),
  oldest: (a, b) => (a.job.finished ?? Infinity) - (b.job.finished ?? Infinity),
};

// Filters and sorts; the counts of every facet are of what all other facets let through.
function find({ query, chosen, order }) {
  const matches = matcher(query);
  foundJobs = [];
  for (const facet of facets) facet.counts.fill(0);
  const chosenCodes = facets.map((facet) => facet.chosenCodes(chosen));
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
