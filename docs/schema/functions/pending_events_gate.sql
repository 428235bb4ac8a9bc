-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.pending_events_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.pending_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.pending_events');
    END IF;
    FOR r IN
        SELECT n.*, s.tenant_id AS stream_tenant, s.partition_id AS stream_partition, s.position IS NOT NULL AS has_events,
            (SELECT e.event_id FROM eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = n.version) AS taken_by
        FROM new_events AS n
        CROSS JOIN LATERAL (
            -- The stream's first event, or else one that waits: of another tenant or partition, if there is one.
            SELECT e.tenant_id, e.partition_id, e.position FROM eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = 1
            UNION ALL
            (SELECT w.tenant_id, w.partition_id, NULL FROM eventstream.pending_events AS w WHERE w.stream_id = n.stream_id
                ORDER BY (w.tenant_id, w.partition_id) = (n.tenant_id, n.partition_id), w.version LIMIT 1)
            LIMIT 1
        ) AS s
        ORDER BY n.stream_id, n.version
    LOOP
        PERFORM eventstream.refuse_values(r.stream_id, r.tenant_id, r.partition_id, r.type, r.metadata, r.occurred_at);
        IF eventstream.is_content(r.event_id, r.payload, r.data, r.metadata) IS NOT TRUE THEN
            PERFORM eventstream.refuse_content(r.event_id, r.payload, r.data, r.metadata);
        END IF;
        IF r.version < 1 THEN
            PERFORM eventstream.refuse_value('version', r.version::text, '1 or more');
        ELSIF r.tenant_id <> r.stream_tenant THEN
            PERFORM eventstream.refuse_tenant(r.stream_id, r.stream_tenant, r.tenant_id);
        ELSIF r.partition_id <> r.stream_partition THEN
            PERFORM eventstream.refuse_partition(r.stream_id, r.stream_partition, r.partition_id);
        ELSIF r.taken_by IS NOT NULL THEN
            PERFORM eventstream.refuse(
                'ES002',
                format('version %s of stream %L cannot wait: it exists as event %s', r.version, r.stream_id, r.taken_by),
                jsonb_build_object('stream_id', r.stream_id, 'version', r.version, 'event_id', r.taken_by),
                'Use eventstream.ingest, which knows what exists.');
        END IF;
    END LOOP;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.pending_events_gate() IS 'Trigger, after INSERT on pending_events: refuses values that could never enter events, and what cannot wait.';

REVOKE ALL ON FUNCTION eventstream.pending_events_gate() FROM PUBLIC;
