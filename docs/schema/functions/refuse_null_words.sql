-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_null_words(p_data bytea[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF NOT current_setting('array_nulls')::boolean AND '\x4e554c4c' = ANY (p_data) THEN
        PERFORM eventstream.refuse_value('data', 'NULL', 'sent where array_nulls is on: while it is off, this cannot be told from none at all');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_null_words(bytea[]) IS 'Raises ES008 for data that may have been NULL before array_nulls = off made four characters of it; returns otherwise.';

REVOKE ALL ON FUNCTION eventstream.refuse_null_words(bytea[]) FROM PUBLIC;
