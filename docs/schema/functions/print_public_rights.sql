-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.print_public_rights()
 RETURNS TABLE(kind text, name text, definition text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT 'privilege', 'PUBLIC on ' || o.name,
        coalesce((SELECT string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) FROM aclexplode(o.acl) AS a WHERE a.grantee = 0), 'nothing')
    FROM (
        SELECT p.oid::regprocedure::text AS name, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('eventstream')
        UNION ALL
        SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
        FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind IN ('r', 'v', 'S')
        UNION ALL
        SELECT 'schema ' || n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner))
        FROM pg_catalog.pg_namespace AS n
        WHERE n.oid = to_regnamespace('eventstream')
    ) AS o
    UNION ALL
    SELECT 'privilege', 'PUBLIC on column ' || c.oid::regclass || '.' || a.attname, 'some'
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = to_regnamespace('eventstream')
        AND EXISTS (SELECT FROM aclexplode(a.attacl) AS x WHERE x.grantee = 0)
    UNION ALL
    -- Code runs with the rights of its owner, and only the owner can change it.
    SELECT 'privilege', 'owner of ' || p.oid::regprocedure,
        CASE WHEN p.proowner = n.nspowner THEN 'that of the schema' ELSE pg_get_userbyid(p.proowner) END
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.oid = to_regnamespace('eventstream');
END;
$function$;

COMMENT ON FUNCTION eventstream.print_public_rights() IS 'What PUBLIC may do with each object of the schema, and whether functions belong to the owner of the schema; part of schema_objects.';

GRANT EXECUTE ON FUNCTION eventstream.print_public_rights() TO PUBLIC;
