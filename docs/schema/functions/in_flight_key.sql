-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.in_flight_key(p_position bigint)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ('4995336411684012032'::bigint | (p_position & '281474976710655'::bigint));

COMMENT ON FUNCTION eventstream.in_flight_key(bigint) IS 'Key of the advisory lock that a writer holds while its positions, all above p_position, are not committed yet.';

REVOKE ALL ON FUNCTION eventstream.in_flight_key(bigint) FROM PUBLIC;
