-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.fair_shares(p_member_id bigint, p_live bigint[], p_subscriptions text[])
 RETURNS TABLE(name text, share integer, live bigint[])
 LANGUAGE plpgsql
 STABLE ROWS 10
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT
        s.name::text,
        (s.shard_count / count(*) + CASE
            WHEN count(*) FILTER (
                WHERE m.rank < (hashint8extended(p_member_id, hashtextextended(s.name, 0)), p_member_id)
            ) < s.shard_count % count(*) THEN 1
            ELSE 0
        END)::integer,
        array_agg(m.member_id)
    FROM (
        SELECT
            u.name,
            n.member_id,
            (hashint8extended(n.member_id, hashtextextended(u.name, 0)), n.member_id) AS rank
        FROM eventstream.subscription_members AS n
        CROSS JOIN unnest(n.subscriptions) AS u (name)
        WHERE n.member_id = ANY (p_live)
    ) AS m
    JOIN eventstream.subscriptions AS s
        ON s.name = m.name AND NOT s.paused AND (s.delivery <> 'projection' OR s.tables_id IS NOT NULL)
    WHERE m.name = ANY (p_subscriptions)
    GROUP BY s.name, s.shard_count;
END;
$function$;

COMMENT ON FUNCTION eventstream.fair_shares(bigint,bigint[],text[]) IS 'How many shards of each subscription a process may own, and which of the live processes run it; no row for one that is paused, or a projection without complete tables.';

REVOKE ALL ON FUNCTION eventstream.fair_shares(bigint,bigint[],text[]) FROM PUBLIC;
