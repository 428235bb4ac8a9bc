-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_loss(p_stream_ids text[], p_event_ids uuid[], p_first_versions bigint[])
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_again boolean := eventstream.any_exists(p_event_ids)
        OR EXISTS (
            SELECT FROM unnest(p_stream_ids, p_first_versions) AS u (stream_id, first_version)
            CROSS JOIN LATERAL (
                SELECT true AS taken FROM eventstream.events AS e WHERE e.stream_id = u.stream_id AND e.version = u.first_version OFFSET 0
            ) AS t
        );
BEGIN
    PERFORM eventstream.refuse_sequence();
    RETURN v_again;
END;
$function$;

COMMENT ON FUNCTION eventstream.judge_loss(text[],uuid[],bigint[]) IS 'Whether trying again may help after a unique violation: an id exists by now, or a stream has moved. 40001 where the snapshot is too old to see it, ES009 if the sequence of positions is behind.';

REVOKE ALL ON FUNCTION eventstream.judge_loss(text[],uuid[],bigint[]) FROM PUBLIC;
