-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    -- The key is the transaction's, so that a trigger of the user's may append too.
    v_key bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 1)::bigint;
    v_last bigint := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
    -- The position of the first row that breaks a rule; the highest number if none does, or one less if a row carries
    -- tags; NULL if there is no row.
    v_bad bigint;
    v_waits boolean;
    v_above boolean;
    v_event eventstream.events;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    SELECT min(CASE WHEN
            CASE
                WHEN n.version = 1 THEN
                    eventstream.is_name(n.stream_id) AND eventstream.is_tenant_id(n.tenant_id) AND eventstream.is_partition(n.partition_id)
                WHEN n.version > 1 THEN (
                    SELECT e.position < n.position AND e.tenant_id = n.tenant_id AND e.partition_id = n.partition_id AND e.type <> '$closed'
                    FROM ONLY eventstream.events AS e
                    WHERE e.stream_id = n.stream_id AND e.version = n.version - 1
                )
            END
            AND n.position > v_key AND n.position <= v_last
            AND eventstream.is_now(n.recorded_at)
            AND eventstream.is_time(n.occurred_at)
            AND eventstream.is_content(n.event_id, n.payload, n.data, n.metadata)
            AND eventstream.is_name(n.type)
        THEN CASE WHEN n.metadata ? 'tags' THEN 9223372036854775806 ELSE 9223372036854775807 END
        ELSE least(n.position, 9223372036854775805) END),
        EXISTS (SELECT FROM eventstream.pending_events),
        EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.position > v_last)
    INTO v_bad, v_waits, v_above
    FROM new_events AS n;
    IF v_waits AND v_bad >= 9223372036854775806 THEN
        v_bad := coalesce((
            SELECT n.position
            FROM new_events AS n
            WHERE (SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = n.stream_id AND w.version = n.version) OR n.version = 1 AND (
                SELECT true FROM eventstream.pending_events AS w
                WHERE w.stream_id = n.stream_id AND (w.tenant_id <> n.tenant_id OR w.partition_id <> n.partition_id)
                LIMIT 1)
            LIMIT 1), v_bad);
    END IF;
    IF v_bad < 9223372036854775806 THEN
        SELECT n.* INTO v_event FROM new_events AS n WHERE least(n.position, 9223372036854775805) = v_bad LIMIT 1;
        PERFORM eventstream.refuse_event(v_event);
    ELSIF v_bad IS NULL THEN
        PERFORM eventstream.refuse_swallowed();
    ELSIF v_above THEN
        -- Or another writer drew in between.
        PERFORM eventstream.refuse_sequence();
    END IF;
    IF v_bad < 9223372036854775807 THEN
        PERFORM eventstream.hold_tags(array_agg(n.type), array_agg(n.metadata -> 'tags')) FROM new_events AS n WHERE n.metadata ? 'tags';
        -- A later statement, which sees whoever had the locks before.
        PERFORM eventstream.refuse_overtaken(max(n.position), array_agg(n.position) FILTER (WHERE n.metadata ? 'decided'),
            array_agg(n.position) FILTER (WHERE n.metadata ? 'tags'), array_agg(n.type) FILTER (WHERE n.metadata ? 'tags'),
            array_agg(n.metadata -> 'tags') FILTER (WHERE n.metadata ? 'tags'))
        FROM new_events AS n;
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_gate() IS 'Trigger, after INSERT on events: demands that each new row follows its predecessor, and that its values are in order; holds the tags of those that carry any.';

REVOKE ALL ON FUNCTION eventstream.events_gate() FROM PUBLIC;
