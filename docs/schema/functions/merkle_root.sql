-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.merkle_root(p_leaves bytea)
 RETURNS bytea
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    -- A copy in memory: of what is stored apart, substr would look up each piece.
    v_nodes bytea := p_leaves || ''::bytea;
    v_count integer := octet_length(p_leaves) / 32;
BEGIN
    WHILE v_count > 1 LOOP
        SELECT string_agg(sha256('\x01'::bytea || substr(v_nodes, i * 64 + 1, 64)), ''::bytea ORDER BY i)
            || substr(v_nodes, v_count / 2 * 64 + 1)
        INTO v_nodes
        FROM generate_series(0, v_count / 2 - 1) AS i;
        v_count := (v_count + 1) / 2;
    END LOOP;
    RETURN v_nodes;
END;
$function$;

COMMENT ON FUNCTION eventstream.merkle_root(bytea) IS 'Root of the Merkle tree (RFC 6962) over digests of 32 bytes that follow each other.';

GRANT EXECUTE ON FUNCTION eventstream.merkle_root(bytea) TO PUBLIC;
