-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.projection_schema(p_schema text, p_name text)
 RETURNS TABLE(found boolean, tables_id uuid)
 LANGUAGE plpgsql
 STABLE ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT m.oid IS NOT NULL, CASE WHEN m.description = eventstream.projection_mark(p_name, m.marked) THEN m.marked END
    FROM (SELECT) AS one
    LEFT JOIN (
        SELECT
            n.oid,
            d.description,
            substring(d.description FROM '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$')::uuid AS marked
        FROM pg_catalog.pg_namespace AS n
        LEFT JOIN pg_catalog.pg_description AS d
            ON d.objoid = n.oid AND d.classoid = 'pg_catalog.pg_namespace'::regclass AND d.objsubid = 0
        WHERE n.nspname = p_schema
    ) AS m ON true;
END;
$function$;

COMMENT ON FUNCTION eventstream.projection_schema(text,text) IS 'Whether a schema exists, and which tables of a projection it holds by its mark; NULL if it is not marked as that projection''s.';

GRANT EXECUTE ON FUNCTION eventstream.projection_schema(text,text) TO PUBLIC;
