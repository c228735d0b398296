-- What is exported, and where: written by `promptbatch export`, which goes on from it.

-- What the dataset was made from, and with.
CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- The images of the dataset.
CREATE TABLE images (
    row INTEGER PRIMARY KEY,
    job BLOB NOT NULL,
    n INTEGER NOT NULL,           -- from 1
    mark INTEGER NOT NULL,        -- another one when the image, or what is written beside it, is another one
    stem TEXT,                    -- of its file, without the extension, below the dataset's folder; NULL: in a shard
    extension TEXT,
    folded TEXT,                  -- the stem as file systems compare it that do not tell A from a
    UNIQUE (job, n)
) STRICT;

CREATE UNIQUE INDEX stems ON images (folded) WHERE folded IS NOT NULL;

-- The shards, which stay as they were written.
CREATE TABLE shards (
    name TEXT NOT NULL PRIMARY KEY,
    split TEXT NOT NULL,
    bytes INTEGER NOT NULL        -- 0: not yet in its place
) STRICT, WITHOUT ROWID;

-- How many images ever got a file of their own in a split: the next one's folder follows from that.
CREATE TABLE placed (
    split TEXT NOT NULL PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
