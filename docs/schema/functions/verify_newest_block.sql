-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.verify_newest_block()
 RETURNS TABLE(block bigint, stream_id text, version bigint, "position" bigint, problem text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT n.block, b.stream_id, b.version, b.event_position, b.fault
    FROM (SELECT s.block FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1) AS n
    CROSS JOIN LATERAL eventstream.verify_block(n.block) AS b;
END;
$function$;

COMMENT ON FUNCTION eventstream.verify_newest_block() IS 'The rows of audit_newest_block.';

GRANT EXECUTE ON FUNCTION eventstream.verify_newest_block() TO PUBLIC;
