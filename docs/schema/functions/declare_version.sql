-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.declare_version(p_version bigint, p_usable_from bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    INSERT INTO eventstream.schema_versions (version, usable_from)
    -- What an earlier migration took from old code, a later one does not give back.
    SELECT p_version, greatest(p_usable_from, max(v.usable_from))
    FROM eventstream.schema_versions AS v
    WHERE v.version < p_version;
END;
$function$;

COMMENT ON FUNCTION eventstream.declare_version(bigint,bigint) IS 'Says from which version on code can use the schema of a version. A migration calls it, with its own number, and its Down deletes the row: with p_usable_from of the release before if that works with the new schema, else with its own.';

REVOKE ALL ON FUNCTION eventstream.declare_version(bigint,bigint) FROM PUBLIC;
