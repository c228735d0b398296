-- How jobs are found. Each is left out while many rows are taken in, and made at once when all are there.

CREATE UNIQUE INDEX jobs_by_id ON jobs (id);
CREATE UNIQUE INDEX jobs_by_position ON jobs (position) WHERE position IS NOT NULL;
-- What a run goes on with, and what it ended without: few, wherever most have their image.
CREATE INDEX jobs_unfinished ON jobs (phase, position) WHERE phase <= 3;
CREATE INDEX jobs_without_image ON jobs (position) WHERE phase >= 5;
