-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_tags(p_tags jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse_value('tags', p_tags::text,
        'an array of at most 32 strings, each 1 to 128 bytes of UTF-8, without control characters, and without white '
        'space at either end');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_tags(jsonb) IS 'Raises ES008: the tags in the metadata of an event are none. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_tags(jsonb) FROM PUBLIC;
