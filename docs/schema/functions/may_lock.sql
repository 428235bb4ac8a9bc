-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.may_lock(p_streams integer)
 RETURNS boolean
 LANGUAGE sql
RETURN ((set_config('eventstream.locks'::text, ((COALESCE((NULLIF(current_setting('eventstream.locks'::text, true), ''::text))::bigint, (0)::bigint) + p_streams))::text, true))::bigint <= 64);

COMMENT ON FUNCTION eventstream.may_lock(integer) IS 'Whether this transaction may lock so many streams more: it locks 64 at most.';

GRANT EXECUTE ON FUNCTION eventstream.may_lock(integer) TO PUBLIC;
