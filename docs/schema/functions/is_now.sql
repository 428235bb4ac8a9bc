-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_now(p_value timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
RETURN (((p_value >= statement_timestamp()) AND (p_value <= clock_timestamp())) OR ((clock_timestamp() < statement_timestamp()) AND eventstream.is_time(p_value)));

COMMENT ON FUNCTION eventstream.is_now(timestamp with time zone) IS 'Whether a time is of the statement in hand, by the database''s clock.';

GRANT EXECUTE ON FUNCTION eventstream.is_now(timestamp with time zone) TO PUBLIC;
