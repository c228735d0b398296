// Texts of the page, in English and Chinese. `{0}` is a placeholder. In `one|many`, the number selects the form.

const WORDS = {
  skip: ['Skip to the images', '跳到图片'],
  loading: ['Reading the jobs…', '正在读取任务…'],
  views: ['Views', '视图'],
  images: ['Images', '图片'],
  compare: ['Compare', '对比'],
  matrix: ['Matrix', '矩阵'],
  failed_view: ['Failed', '失败'],
  timing: ['Timing', '耗时'],
  search: ['Search in prompts, ids and columns', '搜索提示词、ID 和各列'],
  search_hint: ['Search in prompts, ids, columns', '搜索提示词、ID 和各列'],
  filters: ['Filters', '筛选'],
  language: ['切换到中文', 'Switch to English'],
  language_short: ['中文', 'EN'],
  theme: ['Light or dark', '浅色或深色'],
  keys: ['Keyboard', '键盘操作'],
  sort: ['Sort', '排序'],
  thumbnail_size: ['Size of the thumbnails', '缩略图大小'],
  by_index: ['Manifest order', '清单顺序'],
  by_slowest: ['Slowest first', '最慢优先'],
  by_fastest: ['Fastest first', '最快优先'],
  by_newest: ['Newest first', '最新优先'],
  by_oldest: ['Oldest first', '最旧优先'],
  n_images: ['{0} image|{0} images', '{0} 张图片'],
  n_jobs: ['{0} job|{0} jobs', '{0} 个任务'],
  of: ['{0} of {1}', '{0} / {1}'],
  and_without: ['{0}, {1}', '{0}，{1}'],
  n_without: ['{0} job without one|{0} jobs without one', '{0} 个无图'],
  clear: ['Clear all', '全部清除'],
  remove_filter: ['Remove the filter {0}', '移除筛选 {0}'],
  hide_moderated: ['Hide moderated', '隐藏审核未通过的'],
  n_values: ['{0} value|{0} values', '{0} 个取值'],
  find_value: ['Find a value', '查找取值'],
  more_values: ['{0} more; type to find them', '另有 {0} 个，输入文字即可查找'],
  nothing: ['Nothing matches.', '没有匹配的结果。'],
  nothing_hint: ['Remove a filter or shorten the search.', '请减少筛选条件或缩短搜索词。'],
  notice_part: ['This page holds {0} of {1} jobs. More: promptbatch gallery OUT --jobs FROM-TO', '本页包含 {1} 个任务中的 {0} 个。查看其余：promptbatch gallery OUT --jobs FROM-TO'],
  status: ['Status', '状态'],
  succeeded: ['Succeeded', '成功'],
  failed: ['Failed', '失败'],
  moderated: ['Moderated', '内容审核未通过'],
  in_doubt: ['In doubt', '存疑'],
  running: ['Running', '运行中'],
  pending: ['Pending', '等待中'],
  model: ['Model', '模型'],
  provider: ['Provider', '服务'],
  size: ['Size', '尺寸'],
  seed: ['Seed', '随机种子'],
  steps: ['Steps', '步数'],
  guidance: ['Guidance', '引导系数'],
  n: ['Copy (n)', '第几张（n）'],
  none: ['(none)', '（无）'],
  reason: ['Reason', '原因'],
  prompt: ['Prompt', '提示词'],
  negative: ['Negative prompt', '负面提示词'],
  index: ['Number', '序号'],
  id: ['ID', 'ID'],
  pixels: ['Pixels', '像素'],
  other_size: ['not the requested size ({0})', '与要求的尺寸（{0}）不同'],
  bytes: ['File size', '文件大小'],
  file: ['File', '文件'],
  task: ['Task', '任务 ID'],
  attempts: ['Submissions', '提交次数'],
  doubts: ['In doubt', '存疑次数'],
  lost: ['Lost tasks', '丢失的任务'],
  submitted: ['Submitted', '提交时间'],
  finished: ['Finished', '完成时间'],
  seconds: ['Time taken', '耗时'],
  open: ['Open the file', '打开文件'],
  copy: ['Copy the prompt', '复制提示词'],
  copied: ['Copied', '已复制'],
  previous: ['Previous', '上一张'],
  next: ['Next', '下一张'],
  close: ['Close', '关闭'],
  detail: ['One image', '单张图片'],
  no_image: ['No image', '没有图片'],
  elsewhere: ['A thumbnail: the image is in object storage', '缩略图：原图在对象存储中'],
  no_thumbnail: ['The image is missing or damaged', '图片缺失或损坏'],
  pick: ['Add to compare', '选入对比'],
  unpick: ['Added to compare', '已选'],
  picked: ['Added to compare', '已选入对比'],
  compare_n: ['Compare {0}', '对比 {0} 张'],
  pick_more: ['Add one more', '再选一张'],
  side_by_side: ['Side by side', '并排对比'],
  zoom_hint: ['Click an image to zoom in on all of them', '点击任一图片可同时放大全部'],
  wipe: ['Wipe', '滑动对比'],
  wipe_hint: ['Drag the divider, or use the arrow keys', '拖动分隔线，或按方向键'],
  divider: ['Divider between the two images', '两张图片之间的分隔线'],
  divider_at: ['{0}%: {1} on the left, {2} on the right', '{0}%：左侧 {1}，右侧 {2}'],
  left: ['Left', '左侧'],
  right: ['Right', '右侧'],
  rows: ['Rows', '行'],
  columns: ['Columns', '列'],
  swap: ['Swap rows and columns', '行列互换'],
  n_rows: ['{0} row|{0} rows', '{0} 行'],
  n_columns: ['{0} column|{0} columns', '{0} 列'],
  rows_part: ['The first {0} of {1} rows are shown. Use a filter to see others.', '只显示 {1} 行中的前 {0} 行。请用筛选查看其余各行。'],
  gap: ['No job', '没有任务'],
  groups: ['{0} prompt to compare|{0} prompts to compare', '{0} 条提示词可对比'],
  no_groups: ['No prompt has several images here.', '这里没有哪条提示词有多张图片。'],
  no_groups_hint: ['Add any two to four images in the grid to compare them.', '可在“图片”视图中任选两到四张进行对比。'],
  n_more: ['{0} more', '另有 {0} 个'],
  show_more: ['Show more', '显示更多'],
  all_well: ['Nothing has failed.', '没有失败的任务。'],
  all_well_hint: ['Every job that has ended has its image.', '所有已结束的任务都有图片。'],
  reasons: ['{0} reason|{0} reasons', '{0} 种原因'],
  no_timing: ['Nothing has finished yet.', '还没有任务完成。'],
  over_time: ['Finished over time', '随时间完成的数量'],
  rate: ['Rate', '速率'],
  per: ['jobs per {0}', '每{0}任务数'],
  histogram: ['Time taken', '耗时分布'],
  histogram_note: ['from the last submission to the image on disk', '从最后一次提交到图片落盘'],
  by_model: ['By model: median, and the middle 80%', '按模型：中位数及中间 80%'],
  median: ['Median', '中位数'],
  p95: ['95th percentile', '第 95 百分位'],
  from_to: ['From first to last', '总时长'],
  mean_rate: ['Mean rate', '平均速率'],
  on_disk: ['On disk', '占用空间'],
  second: ['second', '秒'],
  minute: ['minute', '分钟'],
  hour: ['hour', '小时'],
  day: ['day', '天'],
  jobs_axis: ['jobs', '任务'],
  key_search: ['Search', '搜索'],
  key_views: ['Images, compare, matrix, failed, timing', '图片、对比、矩阵、失败、耗时'],
  key_move: ['Move among the images', '在图片间移动'],
  key_open: ['Open', '打开'],
  key_pick: ['Add to compare', '选入对比'],
  key_side: ['Compare the added images, or the row of the matrix', '对比已选图片，或矩阵中的当前行'],
  key_wipe: ['Wipe between two compared images', '在对比中切换滑动对比'],
  key_copy: ['Copy the prompt', '复制提示词'],
  key_theme: ['Light or dark', '浅色或深色'],
  key_close: ['Close; leave the search', '关闭；离开搜索框'],
  key_help: ['This list', '本列表'],
};

let language = 0;

// Returns the text for a key. The first value selects the singular or the plural form.
function t(key, ...values) {
  const forms = WORDS[key][language].split('|');
  const form = forms.length > 1 && values[0] !== 1 ? forms[1] : forms[0];
  return form.replace(/\{(\d)\}/g, (_, i) => typeof values[i] === 'number' ? number(values[i]) : values[i]);
}

const locale = () => ['en', 'zh-CN'][language];

function number(value, digits = 0) {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits });
}

function seconds(value) {
  if (value < 10) return `${number(value, value < 1 ? 2 : 1)} s`;
  if (value < 120) return `${number(value)} s`;
  if (value < 7200) return `${number(value / 60, value < 600 ? 1 : 0)} min`;
  if (value < 172800) return `${number(value / 3600, 1)} h`;
  return `${number(value / 86400, 1)} d`;
}

function fileSize(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${number(value, power && value < 100 ? 1 : 0)} ${units[power]}`;
}

function moment(millis) {
  return new Date(millis).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' });
}
