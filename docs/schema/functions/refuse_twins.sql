-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_twins(p_event_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_twin uuid;
BEGIN
    SELECT u.event_id INTO v_twin
    FROM unnest(p_event_ids) AS u (event_id)
    GROUP BY u.event_id
    -- What is stored was told as a duplicate.
    HAVING count(u.event_id) > 1 AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = u.event_id)
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s comes twice in one batch', v_twin),
            jsonb_build_object('event_id', v_twin, 'problem', 'comes twice in one batch'),
            'Send the same append once, or each in a call of its own: the second one is then a duplicate.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_twins(uuid[]) IS 'Raises ES005 if an event that is not stored comes twice in a batch. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.refuse_twins(uuid[]) FROM PUBLIC;
