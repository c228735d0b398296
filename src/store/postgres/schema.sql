-- One run that several machines share. A run has a schema of its own, which is dropped as a whole.
-- Texts in JSON are those of a run folder's ledger.

-- Settings of the run, as in the ledger of a run folder; version of these tables; base (totals at the time of sharing).
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);

-- Status: open (workers may join) or merged (it has gone back to a run folder). What every worker must hear: a hold, a stop.
CREATE TABLE run (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    status text NOT NULL,
    hold_until timestamptz,
    stop text
);

-- Limits of all workers together: rate of submissions, in words; places: maximum number of tasks in flight. base_running: tasks in flight when
-- the run was shared; later changes are in the totals of the workers. The times that are reserved under it, in microseconds since 1970. next_time:
-- the earliest that is not reserved. generation: the timeline of the server that reserved the last ones.
-- cost_max: limit on the cost of the run, in billionths of the unit of its price. base_cost: the cost when the run was shared, as numbers of
-- billionths and submissions: certain, possible, possible submissions, and submissions at an unknown price. amounts_rest_until: time before which no
-- amount is reserved, in microseconds since 1970.
CREATE TABLE pace (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    rate text,
    places bigint,
    base_running bigint NOT NULL DEFAULT 0,
    interval_micros bigint NOT NULL DEFAULT 0,
    reach_back_micros bigint NOT NULL DEFAULT 0,
    next_time bigint NOT NULL DEFAULT 0,
    first_time bigint NOT NULL DEFAULT 0,
    n_reserved bigint NOT NULL DEFAULT 0,
    generation bigint NOT NULL DEFAULT 0,
    cost_max numeric,
    base_cost numeric[] NOT NULL DEFAULT '{0,0,0,0}',
    amounts_rest_until bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- Written once. position: from 1; NULL for a job that is no longer in the manifest, which no block has.
CREATE TABLE jobs (row bigint, id bytea NOT NULL, position bigint, label text, request text NOT NULL, extras text);

-- Each block has the jobs of these rows.
CREATE TABLE blocks (
    n bigint PRIMARY KEY,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    owner bigint,
    is_done boolean NOT NULL DEFAULT false,
    has_begun boolean NOT NULL DEFAULT false,
    rests_until timestamptz
) WITH (fillfactor = 70);
CREATE INDEX blocks_free ON blocks (has_begun DESC, n) WHERE owner IS NULL AND NOT is_done;
CREATE INDEX blocks_owned ON blocks (owner) WHERE owner IS NOT NULL;

-- States of the jobs that have begun: the fold of their events. No further index, so that updates stay on their page.
CREATE TABLE states (row bigint PRIMARY KEY, phase smallint NOT NULL, state text NOT NULL) WITH (fillfactor = 40);

-- Every event, one row a commit, as JSON. Worker 0 is the run folder.
CREATE TABLE commits (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker bigint NOT NULL,
    n bigint NOT NULL,
    events text NOT NULL,
    UNIQUE (worker, n)
);

-- Which job has a task; the key is a hash of the task's id.
CREATE TABLE tasks (key bytea PRIMARY KEY, row bigint NOT NULL);

CREATE TABLE testimonies (
    row bigint NOT NULL,
    n_submits integer NOT NULL,
    key bytea NOT NULL,
    task text NOT NULL,
    worker bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (row, n_submits, key)
);

-- n_held: submissions that a worker may still send, or whose answers are not recorded, at its last request for times (n_requests). held_amount: what
-- it may then spend beyond the prices of its recorded submissions. cost: its share of the cost, as in base_cost.
CREATE TABLE workers (
    id bigint PRIMARY KEY,
    host text NOT NULL,
    pid bigint NOT NULL,
    version text NOT NULL,
    is_live boolean NOT NULL DEFAULT true,
    n_writes bigint NOT NULL DEFAULT 0,
    n_renewals bigint NOT NULL DEFAULT 0,
    totals bigint[] NOT NULL,
    n_held bigint NOT NULL DEFAULT 0,
    n_requests bigint NOT NULL DEFAULT 0,
    cost numeric[] NOT NULL DEFAULT '{0,0,0,0}',
    held_amount numeric NOT NULL DEFAULT 0,
    joined_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
) WITH (fillfactor = 10);
