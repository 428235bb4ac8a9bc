-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_unknown_subscription(p_name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES010',
        format('there is no subscription %L', p_name),
        jsonb_build_object('subscription', p_name),
        'Check its name in eventstream.subscriptions; running a subscription creates it.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_unknown_subscription(text) IS 'Raises ES010. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_unknown_subscription(text) FROM PUBLIC;
