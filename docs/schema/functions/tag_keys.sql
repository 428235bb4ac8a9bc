-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tag_keys(p_types text[], p_tags jsonb[])
 RETURNS integer[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_keys integer[];
    v_fit boolean;
BEGIN
    SELECT array_agg(k.key), bool_and(k.fits) INTO v_keys, v_fit
    FROM (
        SELECT eventstream.tag_key(t.tag #>> '{}') AS key,
            (jsonb_typeof(t.tag) = 'string' AND eventstream.is_name(t.tag #>> '{}')) IS TRUE AS fits
        FROM (SELECT unnest(p_tags) AS tags) AS u
        CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(u.tags) = 'array' THEN
            CASE WHEN jsonb_array_length(u.tags) <= 32 THEN u.tags END END) AS t (tag)
        UNION ALL
        SELECT eventstream.tag_type_key(y.type), true FROM (SELECT unnest(p_types) AS type) AS y
        UNION ALL
        -- A function of a row that gives NULL gives no row.
        SELECT NULL, false FROM (SELECT unnest(p_tags) AS tags) AS w
        WHERE CASE WHEN jsonb_typeof(w.tags) = 'array' THEN jsonb_array_length(w.tags) > 32 ELSE true END
    ) AS k;
    IF NOT v_fit THEN
        PERFORM eventstream.refuse_tags(u.tags)
        FROM unnest(p_tags) AS u (tags)
        WHERE CASE WHEN jsonb_typeof(u.tags) = 'array' THEN jsonb_array_length(u.tags) > 32 OR EXISTS (
                SELECT FROM jsonb_array_elements(u.tags) AS t (tag)
                WHERE (jsonb_typeof(t.tag) = 'string' AND eventstream.is_name(t.tag #>> '{}')) IS NOT TRUE)
            ELSE true END;
    END IF;
    RETURN v_keys;
END;
$function$;

COMMENT ON FUNCTION eventstream.tag_keys(text[],jsonb[]) IS 'Keys of the locks that the writer of tagged events holds: their tags, and their types. ES008 for tags that are none.';

REVOKE ALL ON FUNCTION eventstream.tag_keys(text[],jsonb[]) FROM PUBLIC;
