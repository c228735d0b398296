-- Beside a ledger, in this connection only: the jobs whose place in the manifest is another now, or none.

DROP TABLE IF EXISTS temp.moves;

CREATE TEMP TABLE moves (
    row INTEGER PRIMARY KEY,
    position INTEGER
) STRICT;
