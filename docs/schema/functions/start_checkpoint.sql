-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.start_checkpoint(p_start jsonb, p_stable bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_number bigint;
    v_position bigint;
BEGIN
    CASE
        WHEN p_start ->> 'from' = 'beginning' OR p_start ? 'partition_sequences' THEN
            RETURN 0;
        WHEN p_start ->> 'from' = 'latest' THEN
            RETURN p_stable;
        WHEN p_start ? 'position' THEN
            v_number := (p_start ->> 'position')::bigint;
            -- The caller may have seen an event that is committed and not stable yet.
            v_position := greatest(p_stable, eventstream.last_position());
            IF v_number > v_position + 1 THEN
                PERFORM eventstream.refuse_beyond_end('position', v_number, v_position);
            END IF;
            RETURN greatest(v_number - 1, 0);
        WHEN p_start ? 'sequence' THEN
            v_number := greatest((p_start ->> 'sequence')::bigint, 1);
            -- The number after the last one may be asked for: it is still to come.
            v_position := CASE WHEN v_number = 1
                THEN 0 ELSE eventstream.position_of_sequence(v_number - 1, p_stable) END;
            IF v_position IS NULL THEN
                PERFORM eventstream.refuse_beyond_end('sequence', v_number, eventstream.sequence_at(p_stable));
            END IF;
            RETURN v_position;
        WHEN p_start ? 'after' THEN
            v_number := (p_start -> 'after' ->> 'position')::bigint;
            IF NOT eventstream.holds_event(v_number, (p_start -> 'after' ->> 'event_id')::uuid) THEN
                PERFORM eventstream.refuse(
                    'ES013',
                    format('the log does not hold event %s at position %s', p_start -> 'after' ->> 'event_id', v_number),
                    jsonb_build_object('field', 'event', 'position', v_number, 'last', eventstream.last_position()),
                    'The log went back since it was read, by a failover or a restore, or is another: '
                    'go on behind an event that it holds, or from the beginning.');
            END IF;
            RETURN v_number;
        WHEN p_start ? 'time' THEN
            -- A caller's clock may be ahead of ours, and ours may have been set back since an event was recorded; a
            -- time later than that is a mistake, and would mean from now on.
            IF (p_start ->> 'time')::timestamptz > interval '5 minutes' + greatest(clock_timestamp(),
                (SELECT l.last_recorded_at FROM eventstream.log_state AS l WHERE l.lane = 0))
            THEN
                PERFORM eventstream.refuse_value('start time', p_start ->> 'time',
                    'not in the future: for what is to come, use the start latest');
            END IF;
            RETURN eventstream.position_at_time((p_start ->> 'time')::timestamptz, p_stable) - 1;
        ELSE
            PERFORM eventstream.refuse_value('start', p_start::text,
                'one of {"from": "beginning"}, {"from": "latest"}, '
                'and an object with position, sequence, after, time or partition_sequences');
    END CASE;
END;
$function$;

COMMENT ON FUNCTION eventstream.start_checkpoint(jsonb,bigint) IS 'The checkpoint that a start stands for in the log up to p_stable; ES013 beyond its end.';

GRANT EXECUTE ON FUNCTION eventstream.start_checkpoint(jsonb,bigint) TO PUBLIC;
