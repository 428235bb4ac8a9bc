-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.create_projection(p_name text, p_shard_count integer, p_filter jsonb, p_start jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tables_id uuid := gen_random_uuid();
    v_created boolean := false;
BEGIN
    IF NOT current_setting('transaction_read_only')::boolean
        AND NOT EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.name = p_name) THEN
        v_created := eventstream.create_subscription(p_name, p_shard_count, 'projection', p_filter, p_start, v_tables_id);
    END IF;
    IF NOT v_created THEN
        PERFORM eventstream.subscribe(p_name, p_shard_count, 'projection', p_filter, p_start);
        PERFORM eventstream.refuse_unfit_tables(p_name);
        RETURN NULL;
    END IF;
    PERFORM eventstream.refuse_strange_schema(p_name, p_name, NULL);
    IF (SELECT p.found FROM eventstream.projection_schema(p_name, p_name) AS p) THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I holds its tables, and the subscription that said what is in them was deleted', p_name),
            format('Rebuild it, or to begin anew: DROP SCHEMA %I CASCADE', p_name));
    END IF;
    RETURN v_tables_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.create_projection(text,integer,jsonb,jsonb) IS 'Creates the subscription of a projection, and returns the id of the tables that the caller makes in the same transaction; or finds one as described, with its tables, and returns NULL. ES011 if it differs, ES016 if its tables are not those of its checkpoint.';

REVOKE ALL ON FUNCTION eventstream.create_projection(text,integer,jsonb,jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.create_projection(text,integer,jsonb,jsonb) TO eventstream_subscriber;
