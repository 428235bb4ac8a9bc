-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit_events_after(p_position bigint)
 RETURNS TABLE(check_name text, stream_id text, version bigint, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT c.check_name, e.stream_id, c.version,
        jsonb_build_object('stream_id', e.stream_id, 'version', e.version, 'position', e.position, 'problem', c.problem)
    FROM eventstream.events AS e
    LEFT JOIN LATERAL (
        SELECT n.position, n.tenant_id, n.partition_id
        FROM eventstream.events AS n
        WHERE n.stream_id = e.stream_id AND n.version = e.version - 1
    ) AS p ON true
    CROSS JOIN (
        SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END AS last_position FROM eventstream.events_position_seq AS q
    ) AS l
    CROSS JOIN LATERAL (
        VALUES
            ('gaps', e.version - 1, e.version > 1 AND p.position IS NULL OR e.version < 1, 'version before it missing'),
            ('order', e.version, e.position <= p.position, 'position not above that of the version before'),
            ('order', e.version, e.position > l.last_position, 'position was never drawn'),
            ('tenants', e.version, e.tenant_id <> p.tenant_id, 'of another tenant than the version before'),
            ('partitions', e.version, e.partition_id <> p.partition_id, 'in another partition than the version before'),
            ('partitions', e.version, NOT eventstream.is_partition(e.partition_id), 'no such partition in this store'),
            ('values', e.version, NOT (
                eventstream.is_name(e.stream_id) AND eventstream.is_tenant_id(e.tenant_id) AND eventstream.is_name(e.type)
                AND eventstream.is_content(e.event_id, e.payload, e.data, e.metadata)
                AND eventstream.is_time(e.occurred_at) AND eventstream.is_time(e.recorded_at)), 'a value that the gate would refuse')
    ) AS c (check_name, version, fails, problem)
    WHERE e.position > p_position AND c.fails;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit_events_after(bigint) IS 'What is wrong with events after a position, each compared with its predecessor. Called by audit_since().';

REVOKE ALL ON FUNCTION eventstream.audit_events_after(bigint) FROM PUBLIC;
