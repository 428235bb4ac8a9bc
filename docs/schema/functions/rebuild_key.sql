-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.rebuild_key(p_name text)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ('4995054936707301376'::bigint | (hashtextextended((p_name COLLATE "C"), (0)::bigint) & '281474976710655'::bigint));

COMMENT ON FUNCTION eventstream.rebuild_key(text) IS 'Key of the advisory lock that a process holds, for a transaction, while it rebuilds a projection.';

GRANT EXECUTE ON FUNCTION eventstream.rebuild_key(text) TO PUBLIC;
