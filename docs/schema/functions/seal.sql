-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.seal(p_max_events integer DEFAULT 10000)
 RETURNS TABLE(block bigint, from_position bigint, to_position bigint, event_count integer, kept_seal text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
DECLARE
    v_zero bytea := decode(repeat('00', 32), 'hex');
    v_stable bigint;
    v_last eventstream.seals;
    v_new eventstream.seals;
    v_store_id uuid;
BEGIN
    IF p_max_events IS NULL OR p_max_events NOT BETWEEN 1 AND 1000000 THEN
        PERFORM eventstream.refuse_value('max_events', p_max_events::text, '1 to 1000000');
    END IF;
    -- Two calls at once would seal the same events. Whoever comes second waits, and then seals what follows. A lock of the
    -- table's: nobody can take it who may not write seals, as anybody can an advisory one.
    LOCK TABLE eventstream.seals IN SHARE ROW EXCLUSIVE MODE;
    -- A statement of its own, before the one that reads events: else what commits between the two is lost.
    v_stable := eventstream.stable_position();
    SELECT t.store_id INTO v_store_id FROM eventstream.store AS t;
    SELECT s.* INTO v_last FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1;
    SELECT
        string_agg(d.digest, ''::bytea ORDER BY d.position),
        string_agg(int8send(d.position), ''::bytea ORDER BY d.position),
        count(*),
        max(d.position)
    INTO v_new.leaves, v_new.positions, v_new.event_count, v_new.to_position
    FROM (
        SELECT g.position, g.digest
        FROM eventstream.event_digests AS g
        WHERE g.position > coalesce(v_last.to_position, 0) AND g.position <= v_stable
        ORDER BY g.position
        LIMIT p_max_events
    ) AS d;
    IF v_new.event_count = 0 THEN
        RETURN;
    END IF;
    v_new.block := coalesce(v_last.block, 0) + 1;
    v_new.from_position := coalesce(v_last.to_position, 0) + 1;
    v_new.last_sequence := coalesce(v_last.last_sequence, 0) + v_new.event_count;
    v_new.sealed_at := clock_timestamp();
    v_new.previous_seal := coalesce(v_last.seal, v_zero);
    v_new.skipped_seal := coalesce(
        (SELECT s.seal FROM eventstream.seals AS s WHERE s.block = v_new.block & (v_new.block - 1)), v_zero);
    v_new.merkle_root := eventstream.merkle_root(v_new.leaves);
    v_new.seal := eventstream.seal_digest(v_store_id, v_new.block, v_new.from_position, v_new.to_position,
        v_new.last_sequence, v_new.sealed_at, v_new.event_count, v_new.previous_seal, v_new.skipped_seal,
        v_new.merkle_root);
    BEGIN
        INSERT INTO eventstream.seals SELECT v_new.*;
    EXCEPTION WHEN unique_violation THEN
        -- Nobody else seals now, so the block was there before: the snapshot of this transaction does not show it.
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('block %s was sealed after the snapshot of this transaction was taken', v_new.block),
            HINT = 'Run the transaction again, or seal in READ COMMITTED.';
    END;
    RETURN QUERY SELECT v_new.block, v_new.from_position, v_new.to_position, v_new.event_count,
        eventstream.print_seal(v_store_id, v_new.block, v_new.to_position, v_new.last_sequence, v_new.seal);
END;
$function$;

COMMENT ON FUNCTION eventstream.seal(integer) IS 'Seals the next block: up to p_max_events (1 to 1,000,000) of the stable log that have no seal yet. Returns it with the text to keep elsewhere; no row if there is nothing to seal. A second call waits for the transaction of the first.';

REVOKE ALL ON FUNCTION eventstream.seal(integer) FROM PUBLIC;
