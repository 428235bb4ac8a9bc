-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_time(p_value timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((p_value > '0001-01-01 00:00:00+00'::timestamp with time zone) AND (p_value < '10000-01-01 00:00:00+00'::timestamp with time zone));

COMMENT ON FUNCTION eventstream.is_time(timestamp with time zone) IS 'Whether a time is in the years 1 to 9999, UTC, and not 0001-01-01 00:00:00, which is Go''s zero time.';

GRANT EXECUTE ON FUNCTION eventstream.is_time(timestamp with time zone) TO PUBLIC;
