-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.verify_kept(p_kept text)
 RETURNS TABLE(block bigint, to_position bigint, fault text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
DECLARE
    -- A signature may follow; that is for who has the public key.
    v_parts text[] := regexp_match(p_kept,
        '^gapless-seal:1:([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([0-9a-f]{64})'
        '(?::ed25519:[A-Za-z0-9_-]{86})?$');
    v_there text;
BEGIN
    IF v_parts IS NULL THEN
        PERFORM eventstream.refuse_value('kept', p_kept, 'the text that kept_seal() or seal() gave');
    END IF;
    block := v_parts[2]::bigint;
    to_position := v_parts[3]::bigint;
    v_there := eventstream.kept_seal(block);
    fault := CASE
        WHEN v_parts[1] <> (SELECT t.store_id::text FROM eventstream.store AS t) THEN 'kept seal of another store'
        WHEN v_there IS NULL THEN 'kept seal missing'
        WHEN v_there <> regexp_replace(p_kept, ':ed25519:.*$', '') THEN 'not the kept seal'
    END;
    RETURN NEXT;
END;
$function$;

COMMENT ON FUNCTION eventstream.verify_kept(text) IS 'The block that a kept seal is about, and what is wrong with it: it is missing, or another one is in its place. Called by verify_seals().';

GRANT EXECUTE ON FUNCTION eventstream.verify_kept(text) TO PUBLIC;
