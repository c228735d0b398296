//! Text below the flags in the help of each command: examples, exit codes, and the format of the output.

use promptbatch::simulator::faults;

pub const TOP: &str = "\
Try it, with no account and no cost:
  promptbatch run examples/prompts.yaml --provider simulator

Exit codes: 0 every job has its image, 1 unexpected error, 2 usage or manifest wrong (nothing was
sent), 3 token refused, 5 this part is done and others are outstanding (--limit), 75 stopped before
the end (quota, outage, a limit on cost, time or failures), 100 some jobs failed, 129, 130 and 143
interrupted.
After 1, 3, 5, 75, 129, 130 and 143, run the same command again to resume.";

pub const RUN: &str = "\
Examples:
  promptbatch run prompts.yaml                          to out/prompts; token in MODELSCOPE_API_KEY
  promptbatch run prompts.csv -o out/cats --rate 30/m   at most 30 submissions per minute
  promptbatch run prompts.yaml --set size=1024x1024     override a default of the manifest
  promptbatch run prompts.csv --name '{category}/{time}-{slug}' --sidecar txt
  promptbatch run prompts.csv --price '2 magicube' --max-cost 200 --max-duration 8h
  promptbatch run prompts.csv --limit 10 --shuffle 1    ten random ones; run again for more
  promptbatch run prompts.csv --gallery --report md=summary.md --fail-under 98%
After an interruption, run the same command again to resume: accepted tasks are fetched and never
submitted again.";

pub const RETRY: &str = "\
Examples:
  promptbatch retry out/cats                            all failures except moderated and in doubt
  promptbatch retry out/cats --only moderated           the same prompts, which are paid for again
  promptbatch retry out/cats --only in_doubt,timeout    held jobs, and lost tasks
If a job's task may still give the image that is paid for, that task is asked first, before the job
is submitted again. Jobs that are only pending are left to `run`.";

pub const VERIFY: &str = "\
Examples:
  promptbatch verify out/cats                           check every image against its record
  promptbatch verify out/cats --repair                  fetch missing and damaged ones again
Exit code 0: every image matches its record; 100: some do not.
With --repair a missing or damaged image is fetched again from its task, if the provider still has
it. Nothing is submitted: a job whose task is gone becomes pending, and `run` submits it again. A
damaged file is kept in OUT/damaged.";

pub const PLAN: &str = "\
new:      the run does not have this job yet
changed:  a new job that replaces an old one with the same id, or else at the same position
back:     it was dropped earlier and returns, with its image if it has one
dropped:  it is no longer in the manifest; its image stays on disk and leaves the results
All other jobs are kept, wherever they have moved.

Examples:
  promptbatch plan prompts.yaml --rate 30/m --price '2 magicube'    time, cost and disk
  promptbatch plan prompts.yaml --list > jobs.csv                   every job, as a manifest
  promptbatch plan prompts.yaml --list=jsonl | head                 the same as JSON Lines

--json prints one object:
  manifest, out     the manifest and the output folder that are compared
  provider          where the run's tasks are; null if no run has begun
  jobs              wanted images: kept + back + new + changed
  moved             kept at another position
  relabelled        kept with another id or with other carried-through columns
  dropped           jobs that are removed and that no changed job replaces
  submit, fetch     jobs that would be submitted for certain; accepted ones to be fetched
  standing          states of the jobs that are kept or back:
                    pending, in_doubt, running, succeeded, failed, moderated
  leaving           states of the jobs that are removed: dropped or replaced
  first             the first of each: new, changed, back, dropped;
                    every one with index, id (or null) and prompt, and a changed one also with
                    was (index, id and prompt before) and changes (a list of field, was, is)
  kinds             number of jobs by kind, for the whole manifest: a list of model, size (or null)
                    and jobs
  estimate          of what would be submitted: seconds, latency_seconds, disk_bytes and
                    cost (unit, from, to), which is null if a price is not known;
                    `to` includes the jobs in doubt, as they may be submitted again
  limit             the most jobs that would be worked on (--limit), or null
  paid              what the run has cost so far: unit, amount (for certain), amount_max (if every
                    submission in doubt was accepted), submissions_in_doubt; null without a price
  max_cost          the amount of --max-cost, or null";

pub const VALIDATE: &str = "\
Examples:
  promptbatch validate prompts.yaml                     the first 20 mistakes, each with its line
  promptbatch validate prompts.yaml --json              up to a thousand, for an editor or a script
Exit code 0: the manifest can be run, perhaps with warnings; 2: it cannot.

--json prints one object:
  manifest          the file
  jobs              wanted images; null if there are mistakes
  mistakes          the first mistakes and warnings, by line, each with severity (error or warning),
                    path (null for the command line), line, column and end_column (from 1, in
                    characters, end_column after the last one; null if they are not known), message
                    and help
  n_mistakes        number of mistakes
  n_warnings        number of warnings";

pub const INIT: &str = "\
Examples:
  promptbatch init                                      prompts.yaml and prompts.schema.json
  promptbatch init cats.yaml --no-schema                only cats.yaml
  promptbatch init -                                    to stdout
Existing files are never overwritten. The first line of the starter refers to the schema, for
editors with a YAML language server (VS Code with the YAML extension, Neovim, Helix and others).";

pub const SCHEMA: &str = "\
Examples:
  promptbatch schema > prompts.schema.json
and as the first line of a manifest:
  # yaml-language-server: $schema=prompts.schema.json
The schema is of draft 2020-12. `validate` checks more than the schema does: duplicate ids, lists
that do not match, names in prompts.";

pub const RESULTS: &str = "\
Examples:
  promptbatch results out/cats                          out/cats/results.csv
  promptbatch results out/cats --format jsonl           out/cats/results.jsonl
  promptbatch results out/cats --include-dropped        with the rows that were removed
Jobs that are no longer in the manifest are left out, and their images stay on disk.
With --include-dropped they come last, with an empty index, until the next `run` rewrites
results.csv: a run always writes the jobs of its manifest there, and no others.

With --format jsonl the same columns go to OUT/results.jsonl, one JSON object per line: numbers
are numbers, missing values are null, and image_url, loras and params are the lists and objects
that were given. The manifest's own columns stay text, as they are carried through.
No run updates that file: run this command again when you need it.";

pub const EXPORT: &str = "\
Examples:
  promptbatch export out/cats --to imagefolder
      from datasets import load_dataset
      load_dataset(\"imagefolder\", data_dir=\"out/cats/export/imagefolder\")
  promptbatch export out/cats --to webdataset -o cats --split train=0.95,test=0.05
      webdataset.WebDataset(\"cats/train-{000000..000012}.tar\")
  promptbatch export out/cats --to captions --caption tags -o train_data/10_cats
  promptbatch export out/cats --to parquet --shard-bytes 1GiB
      load_dataset(\"parquet\", data_dir=\"out/cats/export/parquet\")

Every image is checked against its recorded size and sha256 as it is exported. An image that is
missing or damaged is left out and named, and the exit code is 100. Jobs without an image are left
out too, which is not an error.

After an interruption the same command resumes, and later it adds what is new: existing files stay
as they are, byte for byte, and new images go into new shards. An imagefolder and captions follow
the run: an image that was made again replaces the earlier one, and an image that is no longer in
the manifest is removed. Shards keep both; a message says so, and --fresh rebuilds all shards.
Another format, split or caption, or another run, needs another folder, or --fresh.

imagefolder  train/*.png, a folder for every 9,000, and train/metadata.jsonl: file_name, text
             (the caption), the columns of results.csv that are about the image, and the
             manifest's own (prefixed with input_ if a name is already used)
webdataset   train-000000.tar and so on: ID.png (.jpg, .webp), ID.json with all columns, and
             ID.txt with the caption. ID is the job's own id of 20 digits; -2 is appended for its
             second image. The same run gives the same bytes
captions     000001-a-golden-cat.png, 000001-a-golden-cat.txt and so on, all in one folder
parquet      train-00000.parquet and so on: image (bytes and path) and all columns with their
             types, 100 images per row group

Images in folders are hard links if the disk supports them: the same file under a second name, which
takes no extra space and must not be changed in place. --copy makes copies. Splits keep the images
of one job together, not the jobs of one prompt.";

pub const GALLERY: &str = "\
Examples:
  promptbatch gallery out/cats                          out/cats/gallery.html, for any browser
  promptbatch gallery out/cats --jobs 100001-200000     the second hundred thousand of a large run
The page needs no server and no network. Move it together with OUT, whose images it shows.
Thumbnails are in OUT/gallery, and only new ones are made. Prints the path of the page.";

pub const LOG: &str = "\
Examples:
  promptbatch log out/cats 17                           the seventeenth row of the manifest
  promptbatch log out/cats cat-blue                     by its own id in the manifest
  promptbatch log out/cats 5075521                      by the id of a task";

const SIMULATE: &str = "\
Examples:
  promptbatch simulate                                  on http://127.0.0.1:8080, any token will do
  promptbatch simulate --rate 2/s --quota 100           see a rate limit and a used-up quota
  promptbatch simulate --fault 500=0.05 --fault cut=0.05
  promptbatch run prompts.yaml --base-url http://127.0.0.1:8080/
The address is printed on stdout. The server runs until it is interrupted, and draws its pictures
from the requests.";

/// Returns the examples of `simulate`, and every fault that it can inject.
pub fn simulate() -> String {
    format!("{SIMULATE}\n\n{}", faults::help())
}

pub const COMPLETIONS: &str = "\
Examples:
  promptbatch completions bash > ~/.local/share/bash-completion/completions/promptbatch
  promptbatch completions zsh > ~/.zfunc/_promptbatch                   with ~/.zfunc in fpath
  promptbatch completions fish > ~/.config/fish/completions/promptbatch.fish
  promptbatch completions powershell >> $PROFILE";

pub const MAN: &str = "\
Examples:
  promptbatch man | man -l -                            the page of the whole program
  promptbatch man run | man -l -                        the page of one command
  promptbatch man --dir ~/.local/share/man/man1         all pages, for `man promptbatch-run`";

pub const STATUS: &str = "\
Examples:
  promptbatch status out/cats                           counts, rate, time left, first failures
  promptbatch status out/cats --watch                   refreshed until the run ends
  promptbatch status out/cats --json                    for scripts";
