-- Domains, enumerations, composite types and ranges.
SELECT
    'types' AS directory,
    y.typname AS name,
    concat_ws(E'\n\n',
        CASE y.typtype
            WHEN 'd' THEN concat_ws(E'\n', format('CREATE DOMAIN %s AS %s%s%s%s', y.oid::regtype, format_type(y.typbasetype, y.typtypmod),
                CASE WHEN y.typcollation NOT IN (0, b.typcollation) THEN format(' COLLATE %I', l.collname) END,
                ' DEFAULT ' || y.typdefault, CASE WHEN y.typnotnull THEN ' NOT NULL' END), pg_temp.constraints(0, y.oid))
            WHEN 'e' THEN format(E'CREATE TYPE %s AS ENUM (\n%s\n)', y.oid::regtype,
                (SELECT string_agg(format('    %L', e.enumlabel), E',\n' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = y.oid))
            WHEN 'c' THEN format(E'CREATE TYPE %s AS (\n%s\n)', y.oid::regtype, pg_temp.columns(y.typrelid, '    ', E',\n'))
            WHEN 'r' THEN format('CREATE TYPE %s AS RANGE (subtype = %s)', y.oid::regtype, r.rngsubtype::regtype)
        END || ';',
        nullif(concat_ws(E'\n',
            pg_temp.comment_on(k.kind || y.oid::regtype, obj_description(y.oid, 'pg_type')),
            pg_temp.constraint_comments(0, y.oid),
            pg_temp.column_comments(y.typrelid)), ''),
        pg_temp.grants(k.kind || y.oid::regtype, y.typacl, 'T', y.typowner)) AS definition
FROM pg_type AS y
JOIN pg_namespace AS n ON n.oid = y.typnamespace
CROSS JOIN LATERAL (SELECT CASE y.typtype WHEN 'd' THEN 'DOMAIN ' ELSE 'TYPE ' END) AS k (kind)
LEFT JOIN pg_type AS b ON b.oid = y.typbasetype
LEFT JOIN pg_collation AS l ON l.oid = y.typcollation
LEFT JOIN pg_range AS r ON r.rngtypid = y.oid
LEFT JOIN pg_class AS c ON c.oid = y.typrelid
WHERE n.nspname = 'eventstream' AND (y.typtype IN ('d', 'e', 'r') OR (y.typtype = 'c' AND c.relkind = 'c'))
ORDER BY y.typname COLLATE "C";
