-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.query_position(p_query jsonb, OUT read_until bigint, OUT is_ahead boolean, OUT is_kept boolean)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
AS $function$
BEGIN
    PERFORM eventstream.check_query(p_query);
    read_until := eventstream.stable_position();
    is_kept := current_setting('transaction_isolation') IN ('repeatable read', 'serializable');
    is_ahead := EXISTS (SELECT FROM eventstream.find_matching(p_query, read_until, read_until + 1000, 1));
END;
$function$;

COMMENT ON FUNCTION eventstream.query_position(jsonb) IS 'The stable position, up to which a later statement reads what a decision is made on; and whether an event above it matches the query already; and whether it is the position that log_state keeps, as in a transaction of one snapshot.';

GRANT EXECUTE ON FUNCTION eventstream.query_position(jsonb) TO PUBLIC;
