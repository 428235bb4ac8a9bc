-- What belongs to a table or a view, for the queries of both.

-- An index that a constraint made is shown by the constraint; its comment and its settings are shown here.
CREATE FUNCTION pg_temp.indexes(p_relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(E'\n', d.definition, d.settings, d.comment), E'\n' ORDER BY d.relname COLLATE "C")
    FROM (
        SELECT c.relname,
            CASE WHEN k.oid IS NULL THEN pg_get_indexdef(c.oid) || ';' END AS definition,
            CASE WHEN k.oid IS NOT NULL THEN
                'ALTER INDEX ' || c.oid::regclass || ' SET (' || array_to_string(c.reloptions, ', ') || ');' END AS settings,
            pg_temp.comment_on('INDEX ' || c.oid::regclass, obj_description(c.oid, 'pg_class')) AS comment
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid
        LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = i.indrelid
        WHERE i.indrelid = p_relation
    ) AS d
    WHERE concat(d.definition, d.settings, d.comment) <> ''
$$;

CREATE FUNCTION pg_temp.triggers(p_relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(E'\n', pg_get_triggerdef(g.oid) || ';',
        CASE WHEN g.tgenabled <> 'O' THEN format('ALTER TABLE %s %s TRIGGER %I;', p_relation::regclass,
            CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, g.tgname) END,
        pg_temp.comment_on(format('TRIGGER %I ON %s', g.tgname, p_relation::regclass), obj_description(g.oid, 'pg_trigger'))),
        E'\n' ORDER BY g.tgname COLLATE "C")
    FROM pg_trigger AS g
    WHERE g.tgrelid = p_relation AND NOT g.tgisinternal
$$;

-- Who sees which rows, where row security is on.
CREATE FUNCTION pg_temp.policies(p_relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(E'\n',
        format('CREATE POLICY %I ON %s%s%s TO %s%s%s;', o.polname, p_relation::regclass,
            CASE WHEN NOT o.polpermissive THEN ' AS RESTRICTIVE' END,
            CASE o.polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT' WHEN 'w' THEN ' FOR UPDATE' WHEN 'd' THEN ' FOR DELETE' END,
            (SELECT string_agg(CASE r.id WHEN 0 THEN 'PUBLIC' ELSE r.id::regrole::text END, ', ' ORDER BY r.id::regrole::text COLLATE "C")
                FROM unnest(o.polroles) AS r (id)),
            ' USING (' || pg_get_expr(o.polqual, o.polrelid) || ')',
            ' WITH CHECK (' || pg_get_expr(o.polwithcheck, o.polrelid) || ')'),
        pg_temp.comment_on(format('POLICY %I ON %s', o.polname, p_relation::regclass), obj_description(o.oid, 'pg_policy'))),
        E'\n' ORDER BY o.polname COLLATE "C")
    FROM pg_policy AS o
    WHERE o.polrelid = p_relation
$$;

-- How a table is kept, as far as it was told to differ from what PostgreSQL does by itself.
CREATE FUNCTION pg_temp.settings(p_relation oid) RETURNS text LANGUAGE sql AS $$
    WITH lines AS (
        SELECT 0 AS place, format('SET (%s)',
            array_to_string(c.reloptions || ARRAY(SELECT 'toast.' || o FROM unnest(t.reloptions) AS o), ', ')) AS line
        FROM pg_class AS c
        LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
        WHERE c.oid = p_relation AND c.relkind NOT IN ('v', 'm') AND (c.reloptions IS NOT NULL OR t.reloptions IS NOT NULL)
        UNION ALL
        SELECT 0, s.line
        FROM pg_class AS c
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END),
            (CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END),
            (CASE c.relreplident WHEN 'f' THEN 'REPLICA IDENTITY FULL' WHEN 'n' THEN 'REPLICA IDENTITY NOTHING'
                WHEN 'i' THEN (SELECT format('REPLICA IDENTITY USING INDEX %I', x.relname)
                    FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END)
        ) AS s (line)
        WHERE c.oid = p_relation AND c.relkind IN ('r', 'p')
        UNION ALL
        -- A statistics target that nobody set is -1 up to PostgreSQL 16, and NULL after. Options named pg_ are notes of the server's own, seen in
        -- a build of 17: where in the WAL a column was made.
        SELECT a.attnum, format('ALTER COLUMN %I %s', a.attname, s.line)
        FROM pg_attribute AS a
        JOIN pg_type AS y ON y.oid = a.atttypid
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN a.attstorage <> y.typstorage THEN 'SET STORAGE ' || CASE a.attstorage
                WHEN 'p' THEN 'PLAIN' WHEN 'm' THEN 'MAIN' WHEN 'e' THEN 'EXTERNAL' ELSE 'EXTENDED' END END),
            (CASE a.attcompression WHEN 'l' THEN 'SET COMPRESSION lz4' WHEN 'p' THEN 'SET COMPRESSION pglz' END),
            (CASE WHEN a.attstattarget >= 0 THEN format('SET STATISTICS %s', a.attstattarget) END),
            ((SELECT 'SET (' || string_agg(o, ', ') || ')' FROM unnest(a.attoptions) AS o WHERE o !~ '^pg_'))
        ) AS s (line)
        WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped AND s.line IS NOT NULL
    )
    SELECT string_agg(format('ALTER TABLE %s %s;', p_relation::regclass, l.line), E'\n' ORDER BY l.place, l.line COLLATE "C")
    FROM lines AS l
    WHERE l.line IS NOT NULL
$$;

-- A view's query. PostgreSQL 15 prints it with the names of columns qualified where later versions do not, and all print it alike as the
-- body of a function: so it becomes one for a moment.
CREATE FUNCTION pg_temp.view_query(p_view oid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_body text;
BEGIN
    EXECUTE 'CREATE FUNCTION pg_temp.view_body() RETURNS SETOF record LANGUAGE sql BEGIN ATOMIC ' || pg_get_viewdef(p_view) || ' END';
    v_body := pg_get_function_sqlbody(to_regprocedure('pg_temp.view_body()'));
    DROP FUNCTION pg_temp.view_body();
    RETURN regexp_replace(regexp_replace(v_body, '^BEGIN ATOMIC\n', ''), ';?\s*END$', '');
END;
$$;
