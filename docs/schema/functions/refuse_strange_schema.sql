-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_strange_schema(p_schema text, p_name text, p_tables_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is record;
BEGIN
    SELECT p.* INTO v_is FROM eventstream.projection_schema(p_schema, p_name) AS p;
    IF v_is.found AND v_is.tables_id IS NULL THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I exists, and its comment does not say that it holds tables of this projection', p_schema),
            'Rename or drop the schema if you no longer need it, or give the projection another name.'
            -- Comments are lost where a dump was made without them.
            || coalesce(format(' If the checkpoint does fit the tables in it: COMMENT ON SCHEMA %I IS %L', p_schema,
                eventstream.projection_mark(p_name, p_tables_id)), ''));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_strange_schema(text,text,uuid) IS 'Raises ES016 if a schema exists that is not marked as a projection''s.';

REVOKE ALL ON FUNCTION eventstream.refuse_strange_schema(text,text,uuid) FROM PUBLIC;
