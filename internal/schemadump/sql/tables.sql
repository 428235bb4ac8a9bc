SELECT
    'tables' AS directory,
    c.relname AS name,
    concat_ws(E'\n\n',
        format('CREATE%s TABLE %s%s (%s)%s;', CASE c.relpersistence WHEN 'u' THEN ' UNLOGGED' END, c.oid::regclass,
            ' OF ' || nullif(c.reloftype, 0)::regtype,
            E'\n' || nullif(concat_ws(E',\n', pg_temp.columns(c.oid, '    ', E',\n'), pg_temp.constraints(c.oid, 0)), '') || E'\n',
            concat(
                (SELECT E'\nINHERITS (' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) || ')'
                    FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
                E'\n' || pg_get_expr(c.relpartbound, c.oid),
                E'\nPARTITION BY ' || pg_get_partkeydef(c.oid))),
        pg_temp.settings(c.oid),
        nullif(concat_ws(E'\n',
            pg_temp.comment_on('TABLE ' || c.oid::regclass, obj_description(c.oid, 'pg_class')),
            pg_temp.column_comments(c.oid),
            pg_temp.constraint_comments(c.oid, 0)), ''),
        pg_temp.indexes(c.oid),
        pg_temp.triggers(c.oid),
        pg_temp.policies(c.oid),
        nullif(concat_ws(E'\n', pg_temp.grants('TABLE ' || c.oid::regclass, c.relacl, 'r', c.relowner), pg_temp.column_grants(c.oid)), '')
    ) AS definition
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'eventstream' AND c.relkind IN ('r', 'p') AND c.relname <> 'goose_db_version'
ORDER BY c.relname COLLATE "C";
