-- Objects of the dataset in object storage: recorded before they are written.
CREATE TABLE IF NOT EXISTS objects (
    name TEXT NOT NULL PRIMARY KEY,  -- below the dataset's address
    sha256 BLOB NOT NULL,
    before BLOB,                     -- of the object that is being replaced
    tag TEXT                         -- the storage's name of this content; NULL: not known to be written
) STRICT, WITHOUT ROWID;

-- Objects that were there when the export began, and those written since.
CREATE TEMP TABLE found (
    name TEXT NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    tag TEXT NOT NULL
) STRICT, WITHOUT ROWID;
