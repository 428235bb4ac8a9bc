-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.print_objects()
 RETURNS TABLE(kind text, name text, definition text, fault text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO, YMD'
 SET "IntervalStyle" TO 'postgres'
 SET bytea_output TO 'hex'
 SET extra_float_digits TO '1'
 SET quote_all_identifiers TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid), CASE WHEN t.tgenabled NOT IN ('O', 'A') THEN 'disabled' END
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = to_regnamespace('eventstream') AND NOT t.tgisinternal
    UNION ALL
    SELECT 'constraint', coalesce(c.relname, d.typname) || '.' || k.conname, pg_get_constraintdef(k.oid),
        CASE WHEN NOT k.convalidated THEN 'not validated' WHEN NOT (i.indisvalid AND i.indisready) THEN 'its index is not valid' END
    FROM pg_catalog.pg_constraint AS k
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_catalog.pg_type AS d ON d.oid = k.contypid
    LEFT JOIN pg_catalog.pg_index AS i ON k.conindid <> 0 AND i.indexrelid = k.conindid
    -- NOT NULL is a constraint from PostgreSQL 18 on, and a mark of the column in every version.
    WHERE k.connamespace = to_regnamespace('eventstream') AND k.contype <> 'n'
    UNION ALL
    SELECT 'column', c.relname || '.' || a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)),
        NULL
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), NULL
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('eventstream')
    UNION ALL
    SELECT 'view', c.relname::text, pg_get_viewdef(c.oid), NULL
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'v'
    UNION ALL
    -- A cached or cyclic sequence would give positions that a reader of the log has passed already.
    SELECT 'sequence', q.seqrelid::regclass::text, format('INCREMENT %s CACHE %s CYCLE %s', q.seqincrement, q.seqcache, q.seqcycle), NULL
    FROM pg_catalog.pg_sequence AS q
    JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relname = 'events_position_seq'
    UNION ALL
    -- Row security would hide predecessors from the gate, and a rule would send rows elsewhere before it sees them.
    SELECT 'table', c.relname::text,
        format('persistence %s, row security %s, forced %s, rules %s', c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
            (SELECT count(*) FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid))
            -- Whoever reads a table reads those that inherit from it.
            || coalesce(', with ' || (
                SELECT string_agg(h.inhrelid::regclass::text, ', ' ORDER BY h.inhrelid::regclass::text COLLATE "C")
                FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid), ''),
        NULL
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'r'
    UNION ALL
    SELECT 'policy', c.relname || '.' || y.polname,
        concat_ws(' ', CASE WHEN y.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for', y.polcmd, 'to',
            (SELECT string_agg(CASE WHEN o.id = 0 THEN 'public' ELSE pg_get_userbyid(o.id) END, ', ' ORDER BY o.id) FROM unnest(y.polroles) AS o (id)),
            'using ' || pg_get_expr(y.polqual, y.polrelid), 'check ' || pg_get_expr(y.polwithcheck, y.polrelid)),
        NULL
    FROM pg_catalog.pg_policy AS y
    JOIN pg_catalog.pg_class AS c ON c.oid = y.polrelid
    WHERE c.relnamespace = to_regnamespace('eventstream')
    UNION ALL
    SELECT g.kind, g.name, g.definition, NULL FROM eventstream.print_public_rights() AS g;
END;
$function$;

COMMENT ON FUNCTION eventstream.print_objects() IS 'The rows of schema_objects.';

GRANT EXECUTE ON FUNCTION eventstream.print_objects() TO PUBLIC;
