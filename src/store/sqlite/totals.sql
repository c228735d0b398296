-- The totals counted anew, by a look at every job.

WITH sums AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE position IS NOT NULL AND phase = 0) AS pending,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 1) AS submitting,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 2) AS running,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 3) AS downloading,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 4) AS succeeded,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 5) AS moderated,
           count(*) FILTER (WHERE position IS NOT NULL AND phase = 6) AS failed,
           coalesce(sum(n_submits), 0) AS submits,
           coalesce(sum(n_in_doubt), 0) AS submits_in_doubt,
           count(*) FILTER (WHERE phase = 1 AND fault ->> 0 IN ('in_doubt', 'rejected')) AS doubts_held,
           count(*) FILTER (WHERE phase = 6 AND fault ->> 0 IN ('in_doubt', 'rejected')) AS doubts_failed,
           coalesce(sum(n_lost), 0) AS tasks_lost,
           coalesce(sum(n_reopened), 0) AS reopened
    FROM jobs
)
SELECT 'pending' AS name, pending AS n FROM sums
UNION ALL SELECT 'submitting', submitting FROM sums
UNION ALL SELECT 'running', running FROM sums
UNION ALL SELECT 'downloading', downloading FROM sums
UNION ALL SELECT 'succeeded', succeeded FROM sums
UNION ALL SELECT 'moderated', moderated FROM sums
UNION ALL SELECT 'failed', failed FROM sums
UNION ALL SELECT 'submits', submits FROM sums
UNION ALL SELECT 'submits_in_doubt', submits_in_doubt FROM sums
UNION ALL SELECT 'doubts_held', doubts_held FROM sums
UNION ALL SELECT 'doubts_failed', doubts_failed FROM sums
UNION ALL SELECT 'tasks_lost', tasks_lost FROM sums
UNION ALL SELECT 'reopened', reopened FROM sums
