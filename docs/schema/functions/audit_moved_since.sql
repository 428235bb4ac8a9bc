-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit_moved_since(p_archiving bigint, p_erasure bigint)
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
    SELECT 'archive', x.stream_id, x.version, to_jsonb(x)
    FROM eventstream.archivings AS k
    CROSS JOIN LATERAL (
        SELECT a.stream_id, a.version, a.position, a.problem
        FROM eventstream.audit_archive AS a
        WHERE a.stream_id = k.stream_id AND a.version >= k.from_version AND a.version <= k.to_version
        UNION ALL
        SELECT g.stream_id, g.version, g.position, 'not as it was sealed'
        FROM eventstream.event_digests AS g
        WHERE g.stream_id = k.stream_id AND g.version >= k.from_version AND g.version <= k.to_version
            AND g.digest <> eventstream.sealed_digest(g.position)
    ) AS x
    WHERE k.archiving > p_archiving
    UNION ALL
    SELECT 'erasures', r.stream_id, r.version, to_jsonb(r)
    FROM eventstream.audit_erasures AS r
    WHERE r.erasure > p_erasure;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit_moved_since(bigint,bigint) IS 'What is wrong with what was archived, and erased, after these numbers. Called by audit_since().';

REVOKE ALL ON FUNCTION eventstream.audit_moved_since(bigint,bigint) FROM PUBLIC;
