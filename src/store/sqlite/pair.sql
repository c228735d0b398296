-- Which new job takes the place of which one that has gone.

-- The user's own name says it best. Several images of one entry share its name, and are paired in their order.
INSERT INTO temp.changed
SELECT new.position, old.row
FROM (SELECT position, label, row_number() OVER (PARTITION BY label ORDER BY position) AS nth
      FROM unknown WHERE label IS NOT NULL) AS new
JOIN (SELECT row, label, row_number() OVER (PARTITION BY label ORDER BY position) AS nth
      FROM gone WHERE label IS NOT NULL) AS old
USING (label, nth);

-- Without a name it is the place that is left; two different names are two different jobs.
INSERT INTO temp.changed
SELECT unknown.position, gone.row
FROM gone JOIN unknown USING (position)
WHERE (gone.label IS NULL OR unknown.label IS NULL)
  AND NOT EXISTS (SELECT 1 FROM changed WHERE changed.row = gone.row OR changed.position = unknown.position);
