-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_sequence_at(p_partition_id integer, p_position bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_position bigint;
    v_sequence bigint;
BEGIN
    SELECT m.position, m.sequence INTO v_position, v_sequence
    FROM eventstream.partition_marks AS m
    WHERE m.partition_id = p_partition_id AND m.position <= p_position
    ORDER BY m.position DESC LIMIT 1;
    RETURN coalesce(v_sequence, 0)
        + eventstream.count_in_partition(p_partition_id, coalesce(v_position, 0), p_position, 128);
END;
$function$;

COMMENT ON FUNCTION eventstream.partition_sequence_at(integer,bigint) IS 'How many events a partition has at or below a stable position: of an event''s position, its sequence number in the partition.';

GRANT EXECUTE ON FUNCTION eventstream.partition_sequence_at(integer,bigint) TO PUBLIC;
