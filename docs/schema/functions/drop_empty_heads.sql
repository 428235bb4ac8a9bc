-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.drop_empty_heads(p_stream_ids text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    PERFORM set_config('eventstream.gate', 'create', true);
    DELETE FROM eventstream.streams AS s WHERE s.stream_id = ANY (p_stream_ids) AND s.current_version = 0;
    PERFORM set_config('eventstream.gate', '', true);
END;
$function$;

COMMENT ON FUNCTION eventstream.drop_empty_heads(text[]) IS 'Takes back the empty heads that an append created to hold their locks and then left empty. For append_batch alone.';

GRANT EXECUTE ON FUNCTION eventstream.drop_empty_heads(text[]) TO PUBLIC;
