-- Beside a ledger, in this connection only: the jobs whose content an earlier one has, and how many earlier ones.

DROP TABLE IF EXISTS temp.repeated;

CREATE TEMP TABLE repeated (
    row INTEGER PRIMARY KEY,
    occurrence INTEGER NOT NULL
) STRICT;

INSERT INTO repeated
SELECT row, occurrence
FROM (SELECT row, row_number() OVER (PARTITION BY id ORDER BY row) - 1 AS occurrence FROM jobs)
WHERE occurrence > 0;
