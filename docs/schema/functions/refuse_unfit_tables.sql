-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_unfit_tables(p_name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is record;
BEGIN
    -- One query: a rebuild that ends meanwhile changes the row and the schema at once.
    SELECT s.tables_id, p.found, p.tables_id AS marked, q.position
    INTO v_is
    FROM eventstream.subscriptions AS s
    CROSS JOIN LATERAL eventstream.projection_schema(s.name, s.name) AS p
    CROSS JOIN LATERAL (
        SELECT min(h.position) AS position FROM eventstream.subscription_shards AS h WHERE h.subscription = s.name
    ) AS q
    WHERE s.name = p_name;
    IF v_is.tables_id IS NULL THEN
        IF NOT eventstream.is_rebuilding(p_name) THEN
            PERFORM eventstream.refuse_tables(p_name, 'its rebuild was interrupted, and its tables are not complete',
                'Rebuild it again.');
        END IF;
    ELSIF NOT v_is.found THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I with its tables does not exist, and its checkpoint is at position %s', p_name, v_is.position),
            'Rebuild it: that makes the tables anew and fills them. To begin anew without what was before, delete the '
            'subscription as well.');
    ELSIF v_is.marked IS DISTINCT FROM v_is.tables_id THEN
        PERFORM eventstream.refuse_strange_schema(p_name, p_name, v_is.tables_id);
        PERFORM eventstream.refuse_tables(p_name,
            format('its checkpoint is not about the tables in schema %I, which were there before or come from elsewhere',
                p_name),
            'Rebuild it.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_unfit_tables(text) IS 'Raises ES016 unless the tables of a projection are those that its checkpoint is about, or a rebuild runs that makes them.';

REVOKE ALL ON FUNCTION eventstream.refuse_unfit_tables(text) FROM PUBLIC;
