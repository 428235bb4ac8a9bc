-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.query_keys(p_query jsonb)
 RETURNS integer[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN (
        SELECT array_agg(DISTINCT k.key)
        FROM jsonb_array_elements(p_query) AS a
        CROSS JOIN LATERAL (
            SELECT eventstream.tag_key(a -> 'tags' ->> 0) AS key WHERE a -> 'tags' ->> 0 IS NOT NULL
            UNION ALL
            SELECT eventstream.tag_type_key(y) FROM jsonb_array_elements_text(a -> 'types') AS y WHERE a -> 'tags' ->> 0 IS NULL
        ) AS k);
END;
$function$;

COMMENT ON FUNCTION eventstream.query_keys(jsonb) IS 'Keys that a decision on a query holds: the first tag of each alternative, or its types if it has no tags.';

REVOKE ALL ON FUNCTION eventstream.query_keys(jsonb) FROM PUBLIC;
