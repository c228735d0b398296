-- Beside a ledger, in this connection only: how a manifest differs from the jobs that the ledger has.

DROP TABLE IF EXISTS temp.wanted;
DROP TABLE IF EXISTS temp.gone;
DROP TABLE IF EXISTS temp.changed;

-- Every row of the manifest; the request only where the ledger does not know the job.
CREATE TEMP TABLE wanted (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    label TEXT,
    request TEXT
) STRICT;

-- The jobs that have a place in the ledger and none in the manifest.
CREATE TEMP TABLE gone (
    row INTEGER PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,
    label TEXT
) STRICT;

-- The new jobs that take the place of one that has gone: their position and its row.
CREATE TEMP TABLE changed (
    position INTEGER PRIMARY KEY,
    row INTEGER NOT NULL UNIQUE
) STRICT;
