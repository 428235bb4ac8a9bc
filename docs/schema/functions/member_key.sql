-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.member_key(p_member_id bigint)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ('4993647561823748096'::bigint | (p_member_id & '281474976710655'::bigint));

COMMENT ON FUNCTION eventstream.member_key(bigint) IS 'Key of the advisory lock that a process holds, for a transaction, while it runs subscriptions.';

GRANT EXECUTE ON FUNCTION eventstream.member_key(bigint) TO PUBLIC;
