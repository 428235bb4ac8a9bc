-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_now(p_value timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
RETURN ((p_value >= (LEAST(statement_timestamp(), clock_timestamp()) - '00:01:00'::interval)) AND (p_value <= (GREATEST(statement_timestamp(), clock_timestamp()) + '00:01:00'::interval)));

COMMENT ON FUNCTION eventstream.is_now(timestamp with time zone) IS 'Whether a time is of the statement in hand, by the database''s clock, give or take a minute: the clock may be set meanwhile.';

GRANT EXECUTE ON FUNCTION eventstream.is_now(timestamp with time zone) TO PUBLIC;
