-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tag_keys(p_types text[], p_tags jsonb[])
 RETURNS integer[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_bad jsonb;
    v_keys integer[];
BEGIN
    SELECT u.tags INTO v_bad
    FROM unnest(p_tags) AS u (tags)
    WHERE CASE WHEN jsonb_typeof(u.tags) = 'array' THEN jsonb_array_length(u.tags) > 32 ELSE true END
        OR jsonb_path_exists(u.tags, 'strict $[*] ? (@.type() != "string")')
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse_tags(v_bad);
    END IF;
    SELECT jsonb_build_array(t.tag) INTO v_bad
    FROM unnest(p_tags) AS u (tags)
    CROSS JOIN LATERAL jsonb_array_elements_text(u.tags) AS t (tag)
    WHERE eventstream.is_name(t.tag) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse_tags(v_bad);
    END IF;
    SELECT array_agg(k.key) INTO v_keys
    FROM (
        SELECT eventstream.tag_key(t.tag) AS key
        FROM unnest(p_tags) AS u (tags)
        CROSS JOIN LATERAL jsonb_array_elements_text(u.tags) AS t (tag)
        UNION
        SELECT eventstream.tag_type_key(y.type) FROM unnest(p_types) AS y (type)
    ) AS k;
    RETURN v_keys;
END;
$function$;

COMMENT ON FUNCTION eventstream.tag_keys(text[],jsonb[]) IS 'Keys of the locks that the writer of tagged events holds: their tags, and their types. ES008 for tags that are none.';

REVOKE ALL ON FUNCTION eventstream.tag_keys(text[],jsonb[]) FROM PUBLIC;
