SELECT
    'sequences' AS directory,
    c.relname AS name,
    concat_ws(E'\n\n',
        format('CREATE SEQUENCE %s AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s%s;', c.oid::regclass,
            format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
            CASE WHEN s.seqcycle THEN ' CYCLE' END,
            -- The identity of a column, or the sequence of one.
            (SELECT format(' OWNED BY %s.%I', a.attrelid::regclass, a.attname)
                FROM pg_depend AS d
                JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))),
        pg_temp.comment_on('SEQUENCE ' || c.oid::regclass, obj_description(c.oid, 'pg_class')),
        pg_temp.grants('SEQUENCE ' || c.oid::regclass, c.relacl, 's', c.relowner)) AS definition
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_sequence AS s ON s.seqrelid = c.oid
WHERE n.nspname = 'eventstream' AND c.relname <> 'goose_db_version_id_seq'
ORDER BY c.relname COLLATE "C";
