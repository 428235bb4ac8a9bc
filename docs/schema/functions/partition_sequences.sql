-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_sequences(p_partition_ids integer[], p_positions bigint[], p_known_positions bigint[] DEFAULT NULL::bigint[], p_known_sequences bigint[] DEFAULT NULL::bigint[])
 RETURNS TABLE(item integer, sequence bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    WITH asked AS (
        SELECT
            u.item::integer AS item,
            u.partition_id,
            u.position,
            coalesce(u.known_sequence, 0) AS known_sequence,
            coalesce(lag(u.position) OVER w, u.known_position, 0) AS previous
        FROM unnest(p_partition_ids, p_positions, p_known_positions, p_known_sequences)
            WITH ORDINALITY AS u (partition_id, position, known_position, known_sequence, item)
        WINDOW w AS (PARTITION BY u.partition_id ORDER BY u.position)
    ), counted AS (
        -- From the last mark, or from the item before, whichever is nearer. What was removed has a mark, so none is
        -- left out.
        SELECT
            a.*,
            m.sequence AS mark_sequence,
            count(m.sequence) OVER w AS marks,
            -- The item before is near, as a rule; the mark is up to 128 events away.
            eventstream.count_in_partition(
                a.partition_id, coalesce(m.position, a.previous), a.position, CASE WHEN m.position IS NULL THEN 2 ELSE 16 END) AS events
        FROM asked AS a
        LEFT JOIN LATERAL (
            SELECT k.position, k.sequence
            FROM eventstream.partition_marks AS k
            WHERE k.partition_id = a.partition_id AND k.position <= a.position AND k.position >= a.previous
            ORDER BY k.position DESC LIMIT 1
        ) AS m ON true
        WINDOW w AS (PARTITION BY a.partition_id ORDER BY a.position)
    )
    SELECT
        c.item,
        (coalesce(max(c.mark_sequence) OVER r, c.known_sequence) + sum(c.events) OVER (r ORDER BY c.position))::bigint
    FROM counted AS c
    WINDOW r AS (PARTITION BY c.partition_id, c.marks)
    ORDER BY c.item;
END;
$function$;

COMMENT ON FUNCTION eventstream.partition_sequences(integer[],bigint[],bigint[],bigint[]) IS 'partition_sequence_at() of many at once, in their order. p_known_positions: for each of them, an event of its partition below it whose number the caller knows; NULL or 0 for none.';

GRANT EXECUTE ON FUNCTION eventstream.partition_sequences(integer[],bigint[],bigint[],bigint[]) TO PUBLIC;
