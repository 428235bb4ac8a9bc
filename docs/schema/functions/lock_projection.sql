-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_projection(p_name text, p_shard_count integer, p_filter jsonb)
 RETURNS eventstream.subscriptions
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    -- The live one must be there for the new one to take its place. Without tables, nobody claims it.
    PERFORM eventstream.create_subscription(p_name, p_shard_count, 'projection', p_filter, '{"from": "beginning"}')
    WHERE NOT EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.name = p_name);
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF v_is.delivery IS DISTINCT FROM 'projection' OR v_is.rebuilds IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L is not that of a projection', p_name),
            jsonb_build_object('subscription', p_name, 'difference',
                format('delivery %s, now projection', coalesce(v_is.delivery, 'none'))),
            'Give the projection another name, or delete the subscription.');
    END IF;
    RETURN v_is;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_projection(text,integer,jsonb) IS 'Keeps the subscription of a projection from everybody else until the transaction ends; makes one if there is none.';

REVOKE ALL ON FUNCTION eventstream.lock_projection(text,integer,jsonb) FROM PUBLIC;
