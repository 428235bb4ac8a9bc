-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_foreign_tables(p_name text, p_by text, p_rebuilds text, p_tables_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF p_rebuilds IS DISTINCT FROM p_name THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('subscription %L is not its rebuild, and its checkpoint is about other tables', p_by),
            'Rebuild the projection.');
    END IF;
    IF (SELECT p.tables_id FROM eventstream.projection_schema(p_name, p_name) AS p) IS DISTINCT FROM p_tables_id THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I does not hold the tables that subscription %L has filled', p_name, p_by),
            'Rename the schemas in the same transaction, before this; Projector.Rebuild does it.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_foreign_tables(text,text,text,uuid) IS 'Raises ES016 unless p_by is the rebuild of a projection, and its tables are in place.';

REVOKE ALL ON FUNCTION eventstream.refuse_foreign_tables(text,text,text,uuid) FROM PUBLIC;
