SELECT
    '' AS directory,
    'schema' AS name,
    concat_ws(E'\n\n',
        'CREATE SCHEMA eventstream;',
        pg_temp.comment_on('SCHEMA eventstream', obj_description(n.oid, 'pg_namespace')),
        pg_temp.grants('SCHEMA eventstream', n.nspacl, 'n', n.nspowner)) AS definition
FROM pg_namespace AS n
WHERE n.nspname = 'eventstream';
