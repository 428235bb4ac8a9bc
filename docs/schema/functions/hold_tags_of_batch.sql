-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.hold_tags_of_batch(p_types text[], p_metadata jsonb[], p_decide integer[] DEFAULT NULL::integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_types text[];
    v_tags jsonb[];
BEGIN
    SELECT array_agg(u.type), array_agg(u.metadata -> 'tags') INTO v_types, v_tags
    FROM (SELECT unnest(p_types) AS type, unnest(p_metadata) AS metadata) AS u
    WHERE u.metadata ? 'tags';
    IF v_tags IS NOT NULL OR p_decide IS NOT NULL THEN
        PERFORM eventstream.lock_tags(p_decide, eventstream.tag_keys(v_types, v_tags));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.hold_tags_of_batch(text[],jsonb[],integer[]) IS 'hold_tags() for those events of a batch that carry tags, together with the keys that a decision holds (query_keys).';

REVOKE ALL ON FUNCTION eventstream.hold_tags_of_batch(text[],jsonb[],integer[]) FROM PUBLIC;
