SELECT
    'views' AS directory,
    c.relname AS name,
    concat_ws(E'\n\n',
        format(E'-- Columns:\n%s', pg_temp.columns(c.oid, '--     ', E'\n')),
        format(E'CREATE %s %s%s AS\n%s;', k.kind, c.oid::regclass, ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
            pg_temp.view_query(c.oid)),
        nullif(pg_temp.settings(c.oid), ''),
        nullif(concat_ws(E'\n',
            pg_temp.comment_on(k.kind || ' ' || c.oid::regclass, obj_description(c.oid, 'pg_class')),
            pg_temp.column_comments(c.oid)), ''),
        pg_temp.indexes(c.oid),
        pg_temp.triggers(c.oid),
        nullif(concat_ws(E'\n', pg_temp.grants('TABLE ' || c.oid::regclass, c.relacl, 'r', c.relowner), pg_temp.column_grants(c.oid)), '')
    ) AS definition
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END) AS k (kind)
WHERE n.nspname = 'eventstream' AND c.relkind IN ('v', 'm')
ORDER BY c.relname COLLATE "C";
