-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.occurred_at AS timestamp with time zone
    CONSTRAINT occurred_at_valid CHECK (
CASE
    WHEN VALUE IS NULL OR VALUE >= '0001-01-01 00:00:00+00'::timestamp with time zone AND VALUE < '10000-01-01 00:00:00+00'::timestamp with time zone THEN true
    ELSE eventstream.refuse_value('occurred_at'::text, VALUE::text, 'a time in the years 1 to 9999'::text)
END);

COMMENT ON DOMAIN eventstream.occurred_at IS 'When an event happened: a time in the years 1 to 9999.';

GRANT USAGE ON DOMAIN eventstream.occurred_at TO PUBLIC;
