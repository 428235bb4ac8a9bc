-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.erase(p_stream_id text, p_versions int8range, p_reason text, p_tell boolean DEFAULT NULL::boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_erased bigint := 0;
    v_discarded bigint := 0;
    v record;
BEGIN
    -- The lock of what appends: two erasures of a stream take turns.
    PERFORM eventstream.lock_stream(p_stream_id);
    SELECT w.from_version, w.to_version INTO v FROM eventstream.versions_to_erase(p_stream_id, p_versions, p_reason) AS w;
    -- An UPDATE of nothing is refused, as every other one.
    IF EXISTS (
        SELECT FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version >= v.from_version AND e.version <= v.to_version
            AND NOT eventstream.is_erased(e.payload, e.data, e.metadata))
    THEN
        WITH kept AS (
            INSERT INTO eventstream.erasures AS x (
                position, version, event_id, stream_id, reason, payload_digest, data_digest, metadata_digest
            )
            SELECT e.position, e.version, e.event_id, e.stream_id, p_reason, sha256(convert_to(e.payload::text, 'UTF8')), sha256(e.data),
                sha256(convert_to(e.metadata::text, 'UTF8'))
            FROM eventstream.events AS e
            WHERE e.stream_id = p_stream_id AND e.version >= v.from_version AND e.version <= v.to_version
                AND NOT eventstream.is_erased(e.payload, e.data, e.metadata)
            RETURNING x.stream_id, x.version
        )
        UPDATE eventstream.events AS e
        SET payload = 'null', data = NULL, metadata = '{"$erased": true}'
        FROM kept AS k
        WHERE e.stream_id = k.stream_id AND e.version = k.version;
        GET DIAGNOSTICS v_erased = ROW_COUNT;
    END IF;
    IF EXISTS (
        SELECT FROM eventstream.discarded_events AS d
        WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
            AND NOT eventstream.is_erased(d.payload, d.data, d.metadata))
    THEN
        WITH kept AS (
            INSERT INTO eventstream.erasures (version, event_id, stream_id, place, reason, payload_digest, data_digest, metadata_digest)
            SELECT d.version, d.event_id, d.stream_id, 'discarded_events', p_reason, sha256(convert_to(d.payload::text, 'UTF8')),
                sha256(d.data), sha256(convert_to(d.metadata::text, 'UTF8'))
            FROM eventstream.discarded_events AS d
            WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
                AND NOT eventstream.is_erased(d.payload, d.data, d.metadata)
            -- Discarded twice, or again since it was erased.
            ON CONFLICT ON CONSTRAINT erasures_pkey DO NOTHING
        )
        UPDATE eventstream.discarded_events AS d
        SET payload = 'null', data = NULL, metadata = '{"$erased": true}'
        WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
            AND NOT eventstream.is_erased(d.payload, d.data, d.metadata);
        GET DIAGNOSTICS v_discarded = ROW_COUNT;
    END IF;
    -- What was made of the events. Also when they were erased before: somebody may have restored it.
    DELETE FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id;
    -- What a handler said may quote them.
    UPDATE eventstream.parked_events AS k SET error = 'erased with its event'
    WHERE k.stream_id = p_stream_id AND k.version >= v.from_version AND k.version <= v.to_version;
    IF v_erased > 0 AND coalesce(p_tell, EXISTS (
        SELECT FROM eventstream.subscriptions AS s
        WHERE s.filter -> 'types' ? '$erased' OR s.filter ->> 'category' = '$erasures'))
    THEN
        PERFORM eventstream.tell_erasure(p_stream_id, v.from_version, v.to_version, v_erased);
    END IF;
    RETURN v_erased + v_discarded;
EXCEPTION WHEN unique_violation THEN
    -- On record already: it was erased after the snapshot of this transaction was taken.
    PERFORM eventstream.refuse_old_snapshot();
    RAISE;
END;
$function$;

COMMENT ON FUNCTION eventstream.erase(text,int8range,text,boolean) IS 'Takes payload, data and metadata away from events of a stream, and from what was discarded of these versions; keeps their digests in erasures, with who, when and why; deletes the stream''s snapshots. Returns how many it erased: 0 for what is erased already. p_versions: [2,5], or [2,] to the last one. p_tell: whether the log gets an event $erased; by default if a subscription asks for it.';

REVOKE ALL ON FUNCTION eventstream.erase(text,int8range,text,boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.erase(text,int8range,text,boolean) TO eventstream_eraser;
