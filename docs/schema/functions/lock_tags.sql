-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_tags(p_decide integer[], p_write integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_held bigint := coalesce(nullif(current_setting('eventstream.tag_locks', true), '')::bigint, 0);
    v_keys integer[] := ARRAY(SELECT DISTINCT k FROM unnest(p_decide || p_write) AS k ORDER BY k);
    v_many boolean := v_held + cardinality(v_keys) > 128;
    v_ignored text;
BEGIN
    IF v_many THEN
        v_keys := ARRAY(SELECT DISTINCT k FROM unnest(p_decide) AS k ORDER BY k);
        IF v_held + cardinality(v_keys) > 1024 AND p_decide IS NOT NULL THEN
            PERFORM eventstream.refuse_value('query', (v_held + cardinality(v_keys))::text || ' tags and types',
                'one that asks for at most 1024 tags and types, together with the other queries of the transaction');
        END IF;
    END IF;
    -- In a subtransaction, whose end hands the locks to the transaction: a cursor would take them along.
    BEGIN
        v_ignored := set_config('eventstream.tag_locks', (v_held + v_many::integer + cardinality(v_keys))::text, true);
        IF v_many THEN
            v_ignored := pg_advisory_xact_lock(1163157868, 0);
        ELSIF p_decide IS NOT NULL THEN
            v_ignored := pg_advisory_xact_lock_shared(1163157868, 0);
        END IF;
        FOR i IN 1 .. cardinality(v_keys) LOOP
            IF v_keys[i] = ANY (p_decide) THEN
                v_ignored := pg_advisory_xact_lock(1163157863, v_keys[i]);
            ELSE
                v_ignored := pg_advisory_xact_lock_shared(1163157863, v_keys[i]);
            END IF;
        END LOOP;
    EXCEPTION WHEN no_data_found THEN
        RAISE;
    END;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_tags(integer[],integer[]) IS 'Holds keys of tags and types until the transaction ends: p_decide exclusively, p_write shared; after 128 in a transaction, one lock (1163157868, ETal) in place of those of p_write.';

REVOKE ALL ON FUNCTION eventstream.lock_tags(integer[],integer[]) FROM PUBLIC;
