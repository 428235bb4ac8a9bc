-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.start_partitions(p_start jsonb, p_stable bigint)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    r record;
    v_position bigint;
    v_positions jsonb := '{}';
BEGIN
    FOR r IN
        SELECT p.key::integer AS partition_id, p.value::bigint AS sequence
        FROM jsonb_each_text(coalesce(p_start -> 'partition_sequences', '{}')) AS p
    LOOP
        IF r.partition_id NOT BETWEEN 0 AND eventstream.partition_count() - 1 THEN
            PERFORM eventstream.refuse_value('partition', r.partition_id::text,
                format('from 0 to %s', eventstream.partition_count() - 1));
        END IF;
        -- Nothing is delivered up to the event before the first one wanted.
        v_position := CASE WHEN r.sequence > 1
            THEN eventstream.position_of_partition_sequence(r.partition_id, r.sequence - 1, p_stable) ELSE 0 END;
        IF v_position IS NULL THEN
            PERFORM eventstream.refuse_beyond_end(format('sequence of partition %s', r.partition_id), r.sequence,
                eventstream.partition_sequence_at(r.partition_id, p_stable));
        END IF;
        v_positions := v_positions || jsonb_build_object(r.partition_id::text, v_position);
    END LOOP;
    RETURN v_positions;
END;
$function$;

COMMENT ON FUNCTION eventstream.start_partitions(jsonb,bigint) IS 'Partition to position, for a start that gives sequence numbers of partitions; ES013 beyond the end of one.';

GRANT EXECUTE ON FUNCTION eventstream.start_partitions(jsonb,bigint) TO PUBLIC;
