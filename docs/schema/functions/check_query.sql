-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_query(p_query jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_fits boolean;
BEGIN
    IF jsonb_typeof(p_query) IS DISTINCT FROM 'array' THEN
        PERFORM eventstream.refuse_query(p_query, 'an array of alternatives like {"types": ["a"], "tags": ["b"]}');
    ELSIF jsonb_array_length(p_query) NOT BETWEEN 1 AND 32 THEN
        PERFORM eventstream.refuse_query(p_query, 'of 1 to 32 alternatives');
    END IF;
    SELECT bool_and(CASE WHEN jsonb_typeof(a) = 'object' AND coalesce(jsonb_typeof(a -> 'types'), 'array') = 'array'
            AND coalesce(jsonb_typeof(a -> 'tags'), 'array') = 'array'
        THEN (a - 'types' - 'tags') = '{}' AND jsonb_array_length(coalesce(a -> 'tags', '[]')) <= 32
            AND jsonb_array_length(coalesce(a -> 'types', '[]')) <= 32
            AND jsonb_path_exists(a, 'lax $.*[*]')
            AND NOT jsonb_path_exists(a, 'lax $.*[*] ? (@.type() != "string")')
            AND (SELECT bool_and(eventstream.is_name(n))
                FROM jsonb_array_elements_text(coalesce(a -> 'types', '[]') || coalesce(a -> 'tags', '[]')) AS n)
        ELSE false END)
    INTO v_fits
    FROM jsonb_array_elements(p_query) AS a;
    IF v_fits IS NOT TRUE THEN
        PERFORM eventstream.refuse_query(p_query, 'of alternatives like {"types": ["a"], "tags": ["b"]}, with at least '
            'one type or tag and at most 32 of each, valid as an event type and as a tag');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.check_query(jsonb) IS 'Raises ES008 for what is not a query: an array of 1 to 32 alternatives, each with types, tags, or both.';

GRANT EXECUTE ON FUNCTION eventstream.check_query(jsonb) TO PUBLIC;
