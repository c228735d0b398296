-- Beside a ledger, in this connection only: how a manifest differs from the jobs that the ledger has.

DROP TABLE IF EXISTS temp.unknown;
DROP TABLE IF EXISTS temp.gone;
DROP TABLE IF EXISTS temp.changed;

-- The rows of the manifest that are no job of the ledger's.
CREATE TEMP TABLE unknown (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    label TEXT,
    request TEXT NOT NULL
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
