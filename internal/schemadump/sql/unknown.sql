-- What is there and in no file, because none of the queries beside this one knows its kind. Dumping it is an error.
WITH ns AS (
    SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = 'eventstream'
)
-- The array of each type, the multirange of a range, and the row type of a table come with those.
SELECT pg_describe_object(d.classid, d.objid, 0)
FROM pg_depend AS d
JOIN ns ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = ns.oid
LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
LEFT JOIN pg_type AS y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
WHERE NOT coalesce(
    c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I', 'S', 'c'),
    p.prokind IN ('f', 'p', 'w'),
    y.typtype IN ('d', 'e', 'c', 'r', 'm') OR y.typelem <> 0,
    false)
UNION ALL
SELECT pg_describe_object('pg_rewrite'::regclass, w.oid, 0)
FROM pg_rewrite AS w
JOIN pg_class AS c ON c.oid = w.ev_class
JOIN ns ON ns.oid = c.relnamespace
WHERE w.rulename <> '_RETURN'
ORDER BY 1;
