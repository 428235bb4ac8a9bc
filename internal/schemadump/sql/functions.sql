-- Functions of one name share a file. Those that came with a type, as the constructors of a range, are part of it.
SELECT
    'functions' AS directory,
    p.proname AS name,
    concat_ws(E'\n\n',
        rtrim(pg_get_functiondef(p.oid), E'\n') || ';',
        pg_temp.comment_on(k.kind || p.oid::regprocedure, obj_description(p.oid, 'pg_proc')),
        pg_temp.grants(k.kind || p.oid::regprocedure, p.proacl, 'f', p.proowner)) AS definition
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END) AS k (kind)
WHERE n.nspname = 'eventstream' AND p.prokind IN ('f', 'p', 'w')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
ORDER BY p.proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C";
