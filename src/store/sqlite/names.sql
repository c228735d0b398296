-- Beside a ledger, in this connection only: the names of all images, to be looked up.

DROP TABLE IF EXISTS temp.names;

CREATE TEMP TABLE names (
    file_name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- In their order, in which they are written one after the other.
INSERT OR IGNORE INTO temp.names SELECT file_name FROM artifacts ORDER BY file_name;
