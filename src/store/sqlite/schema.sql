-- The ledger of a run. Made for reading with any SQLite tool: sqlite3 -readonly run.db 'SELECT * FROM overview'
-- Times are milliseconds since 1970-01-01T00:00:00Z.
-- Every row has its checksum (sum, job_sum, state_sum): CRC-32, by the function row_sum of promptbatch.

-- What is true of the whole run: provider, columns (JSON array of the manifest's further columns), manifest (fingerprint),
-- style (how images are named and made), run (a number drawn for it), account and account_salt (whose token, as a salted hash),
-- doubt (up to which position new jobs may have been submitted by a lost ledger), schema (checksum of these definitions).
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value ANY,
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a job, ever. The columns from phase on are the fold of the job's events.
CREATE TABLE jobs (
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL,             -- 10 bytes, from the content
    position INTEGER,             -- from 1, in manifest order; NULL: no longer in the manifest
    label TEXT,                   -- the manifest's own id
    request TEXT NOT NULL,        -- JSON
    extras TEXT,                  -- JSON: [[column, text], ...]
    phase INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 submitting, 2 running, 3 downloading, 4 succeeded, 5 moderated, 6 failed
    task TEXT,
    n_submits INTEGER NOT NULL DEFAULT 0,
    n_setbacks INTEGER NOT NULL DEFAULT 0,
    n_lost INTEGER NOT NULL DEFAULT 0,
    n_in_doubt INTEGER NOT NULL DEFAULT 0,
    submitted_at INTEGER,
    finished_at INTEGER,
    fault TEXT,                   -- JSON: [code, words], the last one
    n_forgiven INTEGER NOT NULL DEFAULT 0, -- of n_lost, those before the job was reopened
    n_reopened INTEGER NOT NULL DEFAULT 0,
    job_sum INTEGER NOT NULL,     -- of row, id, position, label, request, extras
    state_sum INTEGER NOT NULL    -- of row and the columns from phase on
) STRICT;

-- Where the images of a job are while it is downloading: a JSON array. In the jobs' own rows they would leave holes.
CREATE TABLE links (
    job INTEGER PRIMARY KEY,
    urls TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

-- How many: jobs of the present manifest by phase, and what has come up in all jobs ever. Kept up by every commit.
CREATE TABLE totals (
    name TEXT NOT NULL PRIMARY KEY,
    n INTEGER NOT NULL,
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The images on disk.
CREATE TABLE artifacts (
    job INTEGER NOT NULL,
    n INTEGER NOT NULL,           -- from 0
    file_name TEXT NOT NULL,      -- below the output folder
    sha256 BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    format TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

-- Everything that happened, in order.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT,
    sum INTEGER NOT NULL
) STRICT;

-- Which event accepted a task. The key is the number at the end of the task's id, or else a hash of the id.
CREATE TABLE tasks (
    key INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (key, event)
) STRICT, WITHOUT ROWID;

CREATE VIEW overview AS
SELECT position,
       lower(hex(id)) AS id,
       label,
       CASE phase WHEN 0 THEN 'pending' WHEN 1 THEN 'submitting' WHEN 2 THEN 'running' WHEN 3 THEN 'downloading'
                  WHEN 4 THEN 'succeeded' WHEN 5 THEN 'moderated' ELSE 'failed' END AS status,
       request ->> 'prompt' AS prompt,
       request ->> 'model' AS model,
       task,
       n_submits,
       (SELECT file_name FROM artifacts WHERE job = row AND n = 0) AS file_name,
       fault
FROM jobs
ORDER BY position;
