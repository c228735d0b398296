// Timing charts: when the jobs finished, how fast, and how long they took. The SVG needs no library. The figures are
// also text, for readers who do not see the charts.

const BOX = { width: 560, height: 210, left: 44, right: 14, top: 10, bottom: 26 };
const INNER = { width: 0, height: BOX.height - BOX.top - BOX.bottom };
// Number of bars in a chart.
const BARS = 48;
const MODELS_MAX = 12;

function timingView(panel) {
  const ended = foundJobs.filter((job) => job.status === 'succeeded' && job.finished);
  const times = ended.map((job) => job.finished).sort((a, b) => a - b);
  const taken = ended.filter((job) => job.seconds !== null).map((job) => job.seconds).sort((a, b) => a - b);
  panel.replaceChildren();
  // Text keeps its size, however narrow the screen is.
  BOX.width = Math.min(560, panel.clientWidth - 30);
  INNER.width = BOX.width - BOX.left - BOX.right;
  if (!taken.length) {
    panel.append(emptyNote('no_timing', 'nothing_hint'));
    return t('n_jobs', 0);
  }
  const begin = ended.reduce((first, job) => Math.min(first, job.submitted ?? job.finished), Infinity);
  const span = Math.max(1, times.at(-1) - begin);
  const bytes = ended.reduce((sum, job) => sum + job.entries.reduce((part, { image }) => part + (image?.bytes ?? 0), 0), 0);
  const unit = rateUnit((times.length / span) * 1000);
  const rate = (n, millis) => (n / millis) * 1000 * unit.seconds;
  panel.append(
    el('dl', { class: 'figures' }, [
      ['median', seconds(quantile(taken, 0.5))], ['p95', seconds(quantile(taken, 0.95))], ['from_to', seconds(span / 1000)],
      ['mean_rate', `${number(rate(times.length, span), 1)} / ${t(unit.key)}`], ['on_disk', fileSize(bytes)],
    ].map(([key, value]) => el('div', {}, el('dt', { text: t(key) }), el('dd', { text: value })))),
    el('div', { class: 'charts' },
      chart('over_time', t('jobs_axis'), overTime(times, begin, span)),
      chart('rate', t('per', t(unit.key)), rates(times, begin, span, rate)),
      chart('histogram', t('histogram_note'), histogram(taken)),
      chart('by_model', '', byModel(ended))));
  return t('n_jobs', ended.length);
}

function chart(key, note, drawing) {
  return el('figure', { class: 'chart' }, el('figcaption', {}, el('b', { text: t(key) }), el('span', { class: 'dim', text: note })), drawing);
}

function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (at - below);
}

// Returns the unit of time in which a rate reads well, in whole numbers.
function rateUnit(perSecond) {
  const units = [['second', 1], ['minute', 60], ['hour', 3600], ['day', 86400]].map(([key, inSeconds]) => ({ key, seconds: inSeconds }));
  return units.find((unit) => perSecond * unit.seconds >= 3) ?? units[3];
}

// Returns round values from zero to slightly above the maximum.
function ticks(max, n = 4) {
  const rough = Math.max(max, 1e-9) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => i * step);
}

const x = (share) => BOX.left + share * INNER.width;
const y = (share) => BOX.top + (1 - share) * INNER.height;

// Draws a chart with its axes. `xs` holds shares of the width, with their labels.
function plot(label, yTicks, yText, xs, ...marks) {
  const top = yTicks.at(-1) || 1;
  return svg('svg', { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: 'img', 'aria-label': label },
    yTicks.map((value) => [
      svg('line', { class: 'rule', x1: BOX.left, x2: BOX.width - BOX.right, y1: y(value / top), y2: y(value / top) }),
      svg('text', { x: BOX.left - 8, y: y(value / top) + 4, class: 'end', text: yText(value) })]),
    xs.map(([share, text]) => svg('text', { x: x(share), y: BOX.height - 8, class: share === 0 ? 'start' : share === 1 ? 'end' : 'middle', text })),
    marks);
}

function timeTicks(begin, span) {
  const isDays = span > 86_400_000;
  const text = (millis) => new Date(millis).toLocaleString(locale(), isDays
    ? { month: 'short', day: 'numeric', hour: '2-digit' } : { hour: '2-digit', minute: '2-digit', second: span < 600_000 ? '2-digit' : undefined });
  const shares = BOX.width < 420 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
  return shares.map((share) => [share, text(begin + share * span)]);
}

function overTime(times, begin, span) {
  const yTicks = ticks(times.length);
  const top = yTicks.at(-1);
  // Two points per pixel are more than the eye sees.
  const every = Math.max(1, Math.floor(times.length / 1000));
  const points = times.map((time, i) => [time, i + 1]).filter((_, i) => i % every === 0 || i === times.length - 1);
  let line = `M${x(0)} ${y(0)}`;
  for (const [time, n] of points) line += `L${x((time - begin) / span).toFixed(1)} ${y(n / top).toFixed(1)}`;
  return plot(`${t('over_time')}: ${number(times.length)}, ${moment(begin)} – ${moment(begin + span)}`, yTicks, (value) => number(value), timeTicks(begin, span),
    svg('path', { class: 'area', d: `${line}L${x(1)} ${y(0)}Z` }), svg('path', { class: 'line', d: line }));
}

function bars(values, top, title) {
  const width = INNER.width / values.length;
  return values.map((value, i) => svg('rect', {
    class: 'bar', x: (BOX.left + i * width + 0.75).toFixed(2), width: Math.max(0.5, width - 1.5).toFixed(2), y: y(value / top).toFixed(2), height: (INNER.height * value / top).toFixed(2), rx: 1.5,
  }, svg('title', { text: title(value, i) })));
}

function rates(times, begin, span, rate) {
  const counts = new Array(BARS).fill(0);
  for (const time of times) counts[Math.min(BARS - 1, Math.floor(((time - begin) / span) * BARS))] += 1;
  const values = counts.map((n) => rate(n, span / BARS));
  const yTicks = ticks(Math.max(...values));
  return plot(`${t('rate')}: ${t('mean_rate')} ${number(rate(times.length, span), 1)}`, yTicks, (value) => number(value, 2), timeTicks(begin, span),
    bars(values, yTicks.at(-1), (value, i) => `${moment(begin + (i * span) / BARS)}: ${number(value, 1)}`));
}

function histogram(taken) {
  // A value that is a hundred times the others is counted in the last bar.
  const xTicks = ticks(Math.max(quantile(taken, 0.99), 0.001), BOX.width < 420 ? 4 : 6);
  const end = xTicks.at(-1);
  const counts = new Array(BARS).fill(0);
  for (const value of taken) counts[Math.min(BARS - 1, Math.floor((value / end) * BARS))] += 1;
  const yTicks = ticks(Math.max(...counts));
  const median = quantile(taken, 0.5);
  const edge = (i) => seconds((i * end) / BARS);
  return plot(`${t('histogram')}: ${t('median')} ${seconds(median)}, ${t('p95')} ${seconds(quantile(taken, 0.95))}`, yTicks, (value) => number(value),
    xTicks.map((value, i) => [value / end, i === xTicks.length - 1 && taken.at(-1) > end ? `≥ ${seconds(value)}` : seconds(value)]),
    bars(counts, yTicks.at(-1), (value, i) => `${edge(i)} – ${edge(i + 1)}: ${number(value)}`),
    [['median', median], ['p95', quantile(taken, 0.95)]].filter(([, value]) => value <= end).map(([key, value]) => [
      svg('line', { class: 'mark', x1: x(value / end), x2: x(value / end), y1: BOX.top, y2: y(0) }, svg('title', { text: `${t(key)}: ${seconds(value)}` }))]));
}

function byModel(ended) {
  const models = new Map();
  for (const job of ended) {
    if (job.seconds === null) continue;
    const model = makerOf(job, job.model);
    if (models.has(model)) models.get(model).push(job.seconds);
    else models.set(model, [job.seconds]);
  }
  const rows = [...models].map(([model, list]) => {
    const sorted = list.sort((a, b) => a - b);
    return { model, n: list.length, low: quantile(sorted, 0.1), median: quantile(sorted, 0.5), high: quantile(sorted, 0.9) };
  }).sort((a, b) => b.n - a.n).slice(0, MODELS_MAX);
  const top = Math.max(...rows.map((row) => row.high), 0.001);
  return el('ul', { class: 'models' }, rows.map((row) => {
    const range = el('i', { class: 'range' });
    const mid = el('i', { class: 'mid' });
    range.style.left = `${(100 * row.low) / top}%`;
    range.style.width = `${(100 * (row.high - row.low)) / top}%`;
    mid.style.left = `${(100 * row.median) / top}%`;
    return el('li', {}, said('span', row.model), el('b', { text: seconds(row.median) }),
      el('span', { class: 'track', title: `${seconds(row.low)} – ${seconds(row.high)}` }, range, mid), el('span', { class: 'dim', text: `${t('n_jobs', row.n)}, ${seconds(row.low)} – ${seconds(row.high)}` }));
  }));
}
