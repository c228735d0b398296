-- Who has gone, and which new job takes whose place.

INSERT INTO temp.gone
SELECT row, position, label FROM jobs
WHERE position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.id = jobs.id);

-- The user's own name says it best. Several images of one entry share its name, and are paired in their order.
INSERT INTO temp.changed
SELECT new.position, old.row
FROM (SELECT position, label, row_number() OVER (PARTITION BY label ORDER BY position) AS nth
      FROM wanted WHERE request IS NOT NULL AND label IS NOT NULL) AS new
JOIN (SELECT row, label, row_number() OVER (PARTITION BY label ORDER BY position) AS nth
      FROM gone WHERE label IS NOT NULL) AS old
USING (label, nth);

-- Without a name it is the place that is left; two different names are two different jobs.
INSERT INTO temp.changed
SELECT wanted.position, gone.row
FROM gone JOIN wanted USING (position)
WHERE request IS NOT NULL AND (gone.label IS NULL OR wanted.label IS NULL)
  AND NOT EXISTS (SELECT 1 FROM changed WHERE changed.row = gone.row OR changed.position = wanted.position);
