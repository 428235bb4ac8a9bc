-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.kept_seal(p_block bigint DEFAULT NULL::bigint)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN (
        SELECT eventstream.print_seal(t.store_id, s.block, s.to_position, s.last_sequence, s.seal)
        FROM eventstream.seals AS s
        CROSS JOIN eventstream.store AS t
        WHERE s.block = p_block OR p_block IS NULL
        ORDER BY s.block DESC
        LIMIT 1
    );
END;
$function$;

COMMENT ON FUNCTION eventstream.kept_seal(bigint) IS 'A seal as text to keep elsewhere, and to give to verify_seals() later: the newest one, or that of p_block; NULL if there is none.';

GRANT EXECUTE ON FUNCTION eventstream.kept_seal(bigint) TO PUBLIC;
