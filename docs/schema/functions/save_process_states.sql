-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.save_process_states(p_process text, p_new_keys text[], p_new_states jsonb[], p_keys text[], p_states jsonb[], p_ended text[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_inserted bigint;
BEGIN
    DELETE FROM eventstream.process_states AS s WHERE s.process = p_process AND s.key = ANY (p_ended);
    UPDATE eventstream.process_states AS s
    SET state = u.state, updated_at = clock_timestamp()
    FROM unnest(p_keys, p_states) AS u (key, state)
    WHERE s.process = p_process AND s.key = u.key;
    INSERT INTO eventstream.process_states (process, key, state)
    SELECT p_process, u.key, u.state
    FROM unnest(p_new_keys, p_new_states) AS u (key, state)
    ORDER BY u.key
    -- There was nothing to lock when this transaction looked; whoever began the process meanwhile, in another shard,
    -- decided first, and this decision is to be made anew.
    ON CONFLICT ON CONSTRAINT process_states_pkey DO NOTHING;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted <> cardinality(p_new_keys) THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('another transaction began process %L for the same key', p_process),
            DETAIL = jsonb_build_object('process', p_process, 'new', cardinality(p_new_keys), 'inserted', v_inserted)::text,
            HINT = 'Handle the same events again.';
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.save_process_states(text,text[],jsonb[],text[],jsonb[],text[]) IS 'Writes what a process manager knows of keys that it has locked: new ones, changed ones, and those that it is done with. 40001 if somebody else began one of the new ones meanwhile.';

REVOKE ALL ON FUNCTION eventstream.save_process_states(text,text[],jsonb[],text[],jsonb[],text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.save_process_states(text,text[],jsonb[],text[],jsonb[],text[]) TO eventstream_subscriber;
