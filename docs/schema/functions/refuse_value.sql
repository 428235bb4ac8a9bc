-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_value(p_field text, p_value text, p_rule text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES008',
        format('invalid %s %s: must be %s', p_field, coalesce(quote_literal(left(p_value, 64)), 'NULL'), p_rule),
        jsonb_build_object('field', p_field, 'value', left(p_value, 64), 'bytes', octet_length(p_value), 'rule', p_rule),
        format('Give a %s that is %s.', p_field, p_rule));
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_value(text,text,text) IS 'Raises ES008 (invalid value), naming the field, the value and the rule. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_value(text,text,text) TO PUBLIC;
