-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.load_snapshot(p_stream_id text, p_name text, p_schema_version integer, p_before_event uuid DEFAULT NULL::uuid)
 RETURNS TABLE("position" bigint, version bigint, event_id uuid, occurred_at timestamp with time zone, recorded_at timestamp with time zone, partition_id integer, stream_id text, tenant_id text, type text, payload jsonb, data bytea, metadata jsonb, head bigint[], digest bytea, state bytea)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET row_security TO 'on'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_sort TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_is record;
    v_base bigint;
    v_created_at timestamptz;
BEGIN
    SELECT e.recorded_at INTO v_created_at FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1;
    SELECT s.version, s.created_at, CASE
        WHEN s.schema_version <> p_schema_version THEN 1
        WHEN v_created_at IS NULL OR NOT eventstream.snapshot_holds(s.stream_id, s.version, s.event_id) THEN 2
        -- By its id alone, which is unique: with the stream in the condition, a plan could go through all of that.
        WHEN p_before_event IS NOT NULL AND (
            SELECT c.stream_id = p_stream_id AND c.version <= s.version
            FROM eventstream.events AS c WHERE c.event_id = p_before_event
        ) THEN 3
        ELSE 0 END AS ignored
    INTO v_is
    FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id AND s.name = p_name;
    v_base := CASE WHEN v_is.ignored = 0 THEN v_is.version ELSE 0 END;
    RETURN QUERY
    SELECT e.position, e.version, e.event_id, e.occurred_at, e.recorded_at, e.partition_id, e.stream_id, e.tenant_id, e.type,
        CASE WHEN e.version > v_base THEN e.payload END,
        CASE WHEN e.version > v_base THEN e.data END,
        CASE WHEN e.version > v_base THEN e.metadata END,
        CASE WHEN e.version = greatest(v_base, 1) THEN (
            SELECT ARRAY[
                v_base, coalesce(v_is.ignored, 0), coalesce(extract(epoch FROM v_is.created_at) * 1000000, 0),
                extract(epoch FROM v_created_at) * 1000000,
                (SELECT l.version FROM ONLY eventstream.events AS l WHERE l.stream_id = p_stream_id ORDER BY l.version DESC LIMIT 1),
                coalesce(max(w.version), 0), coalesce(extract(epoch FROM max(w.received_at)) * 1000000, 0),
                eventstream.partition_count()
            ]::bigint[]
            FROM eventstream.pending_events AS w
            WHERE w.stream_id = p_stream_id
        ) END,
        CASE WHEN e.version = v_base THEN (
            SELECT k.digest FROM eventstream.snapshots AS k WHERE k.stream_id = p_stream_id AND k.name = p_name) END,
        CASE WHEN e.version = v_base THEN (
            SELECT k.state FROM eventstream.snapshots AS k WHERE k.stream_id = p_stream_id AND k.name = p_name) END
    FROM eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version >= v_base
    ORDER BY e.version;
END;
$function$;

COMMENT ON FUNCTION eventstream.load_snapshot(text,text,integer,uuid) IS 'A stream on top of a snapshot: its events after that, behind the event at which the snapshot was made (without its content), which carries state and digest. All events where no snapshot can be used. head, beside the first row: version of the snapshot or 0; why one was not used (0 there is none, 1 other schema version, 2 of another history, 3 made after p_before_event, if the stream has that); when it was made; when the stream was; its last version; the highest version that waits and when it arrived (times in microseconds since 1970, 0 for none); the partitions of the store.';

GRANT EXECUTE ON FUNCTION eventstream.load_snapshot(text,text,integer,uuid) TO PUBLIC;
