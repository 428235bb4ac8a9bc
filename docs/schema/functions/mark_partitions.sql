-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.mark_partitions(p_from bigint, p_to bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    WITH numbered AS (
        SELECT
            p.position,
            p.partition_id,
            row_number() OVER (PARTITION BY p.partition_id ORDER BY p.position) AS number
        FROM (
            SELECT e.position, e.partition_id::integer AS partition_id
            FROM eventstream.events AS e
            WHERE e.position > p_from AND e.position <= p_to
            UNION ALL
            -- What has been removed since keeps its number.
            SELECT m.position, m.partition_id
            FROM eventstream.partition_marks AS m
            WHERE m.removed AND m.position > p_from AND m.position <= p_to
        ) AS p
    ), base AS MATERIALIZED (
        SELECT d.partition_id, eventstream.partition_sequence_at(d.partition_id, p_from) AS sequence
        FROM (SELECT DISTINCT n.partition_id FROM numbered AS n) AS d
    )
    INSERT INTO eventstream.partition_marks (position, sequence, partition_id)
    SELECT n.position, b.sequence + n.number, n.partition_id
    FROM numbered AS n
    JOIN base AS b ON b.partition_id = n.partition_id
    WHERE (b.sequence + n.number) % 128 = 0
    -- An event that was removed has its mark already.
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO NOTHING;
END;
$function$;

COMMENT ON FUNCTION eventstream.mark_partitions(bigint,bigint) IS 'Writes the marks of partitions for the events above p_from, up to p_to. Called by advance_stable_position().';

REVOKE ALL ON FUNCTION eventstream.mark_partitions(bigint,bigint) FROM PUBLIC;
