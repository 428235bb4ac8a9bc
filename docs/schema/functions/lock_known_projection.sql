-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_known_projection(p_name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    -- The subscription first: everybody who works on a projection locks that row first.
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    ELSIF v_is.delivery <> 'projection' OR v_is.rebuilds IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L is not that of a projection', p_name),
            jsonb_build_object('subscription', p_name, 'difference', format('delivery %s, now projection',
                CASE WHEN v_is.rebuilds IS NULL THEN v_is.delivery ELSE 'rebuild of ' || v_is.rebuilds END)),
            'Name a projection: SELECT projection FROM eventstream.audit_projections.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_known_projection(text) IS 'Keeps a projection from everybody else until the transaction ends; ES010 if it is unknown, ES011 if it is none.';

REVOKE ALL ON FUNCTION eventstream.lock_known_projection(text) FROM PUBLIC;
