-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_subject(p_subject text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.check_name('subject', p_subject);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- What another transaction did while this one waited would not be seen: a key after it was forgotten.
        PERFORM eventstream.refuse_value('transaction_isolation', current_setting('transaction_isolation'), 'read committed');
    END IF;
    -- Who creates a key and who forgets the subject take turns. The statement after this one sees what it waited for. In
    -- the two-key form it does not look like a position that is held.
    PERFORM pg_advisory_xact_lock(1163096939, eventstream.stream_key(p_subject));
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_subject(text) IS 'Waits for its turn with the key of a subject, until the end of the transaction. ES008 for what cannot be one.';

REVOKE ALL ON FUNCTION eventstream.lock_subject(text) FROM PUBLIC;
