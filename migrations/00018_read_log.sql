-- +goose Up
-- Reading the log by what events are, and where reading begins. Readers of everything, or of whole partitions, need no
-- function to read: positions are indexed.
-- Locks: none. For readers that want few of the events, the operator makes the indexes that docs/subscriptions.md
-- lists, with CREATE INDEX CONCURRENTLY.
-- +goose StatementBegin

CREATE FUNCTION eventstream.category(p_stream_id text) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN split_part(p_stream_id, '-', 1) COLLATE "C";

COMMENT ON FUNCTION eventstream.category IS
    'Category of a stream: the part of its id before the first -, or the whole id if it has none.';

-- How a reader's pages are cut by bytes. None of these functions reads what it judges: the size of a value and whether
-- it is compressed stand at its head, also of one that is stored out of line.
CREATE FUNCTION eventstream.is_light(p_value jsonb) RETURNS boolean
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN pg_catalog.pg_column_size(p_value) < 1024 AND pg_catalog.pg_column_compression(p_value) IS NULL;

COMMENT ON FUNCTION eventstream.is_light(jsonb) IS
    'Whether a value takes less than 1 KiB and is not compressed: such ones a page of the log carries without '
    'counting.';

CREATE FUNCTION eventstream.is_light(p_value bytea) RETURNS boolean
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN pg_catalog.pg_column_size(p_value) < 1024 AND pg_catalog.pg_column_compression(p_value) IS NULL;

COMMENT ON FUNCTION eventstream.is_light(bytea) IS
    'Whether data takes less than 1 KiB and is not compressed: such ones a page of the log carries without counting.';

-- Compressed values count for eight times their size, which is more than JSON usually gains by it; whoever reads counts
-- what really came. Each part is bounded, so that the sum fits into its type.
CREATE FUNCTION eventstream.event_weight(p_payload jsonb, p_data bytea, p_metadata jsonb) RETURNS integer
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN least(pg_catalog.pg_column_size(p_payload), 1 << 25)
        * CASE WHEN pg_catalog.pg_column_compression(p_payload) IS NULL THEN 1 ELSE 8 END
    + least(coalesce(pg_catalog.octet_length(p_data), 0), 1 << 28)
    + least(pg_catalog.pg_column_size(p_metadata), 1 << 25)
        * CASE WHEN pg_catalog.pg_column_compression(p_metadata) IS NULL THEN 1 ELSE 8 END;

COMMENT ON FUNCTION eventstream.event_weight IS
    'About how many bytes an event has on the wire, found without reading it.';

-- One statement for all filters: planned for the values at hand (force_custom_plan), it drops those that are not given
-- and takes the index that serves the others.
CREATE FUNCTION eventstream.read_log(
    p_after bigint,
    p_until bigint,
    p_limit integer,
    p_backwards boolean DEFAULT false,
    p_partition_ids integer[] DEFAULT NULL,
    p_category text DEFAULT NULL,
    p_types text[] DEFAULT NULL,
    p_tenant_id text DEFAULT NULL
) RETURNS SETOF eventstream.events
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF p_backwards THEN
        RETURN QUERY
        SELECT e.*
        FROM eventstream.events AS e
        WHERE e.position > p_after AND e.position <= p_until
            AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
            AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
            AND (p_types IS NULL OR e.type = ANY (p_types))
            AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
        ORDER BY e.position DESC
        LIMIT p_limit;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.*
    FROM eventstream.events AS e
    WHERE e.position > p_after AND e.position <= p_until
        AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
        AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
        AND (p_types IS NULL OR e.type = ANY (p_types))
        AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
    ORDER BY e.position
    LIMIT p_limit;
END;
$$;

COMMENT ON FUNCTION eventstream.read_log IS
    'Events above p_after, up to p_until, in order of position or in reverse; of some partitions, a category, some '
    'types, a tenant. p_until is a stable position that was read by an earlier statement, or '
    'log_state.stable_position.';

-- The gate takes no event that cannot be read. One that exists all the same, because somebody put it there past the
-- gate or a disk has lost a part of it, must not keep readers from the others: they ask for the one at fault, and go on
-- after it. The condition of the server (resources, timeouts, conflicts) is no fault of an event's.
CREATE FUNCTION eventstream.read_fault(p_position bigint) RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_bytes bigint;
BEGIN
    SELECT octet_length(e.payload::text)::bigint + octet_length(e.metadata::text)
        + coalesce(octet_length(e.data || ''::bytea), 0)
    INTO v_bytes
    FROM eventstream.events AS e
    WHERE e.position = p_position;
    RETURN CASE WHEN v_bytes > 1073700000 THEN format('%s bytes as text, which no message has room for', v_bytes) END;
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE ~ '^(40|53|55|57|58)' THEN
        RAISE;
    END IF;
    RETURN format('%s (SQLSTATE %s)', SQLERRM, SQLSTATE);
END;
$$;

COMMENT ON FUNCTION eventstream.read_fault IS
    'Why the server cannot give the event at a position to anybody: JSON that is longer than any text, or damage; NULL '
    'if it can.';

CREATE FUNCTION eventstream.refuse_beyond_end(p_field text, p_value bigint, p_last bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES013',
        format('%s %s is beyond the end of the log, which is at %s', p_field, p_value, p_last),
        jsonb_build_object('field', p_field, 'position', p_value, 'last', p_last),
        'Give one that the log has reached; a checkpoint from another database does not fit this one.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_beyond_end IS 'Raises ES013. Never returns.';

-- Positions are given again after a failover to a standby that lacks them: who comes back with one, and with the id of
-- the event that it read there, can be told whether the log is still the one that it read.
CREATE FUNCTION eventstream.holds_event(p_position bigint, p_event_id uuid) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = p_position AND e.event_id = p_event_id)
        -- One that was removed (retention) left a mark.
        OR EXISTS (SELECT FROM eventstream.partition_marks AS m WHERE m.removed AND m.position = p_position);
END;
$$;

COMMENT ON FUNCTION eventstream.holds_event IS
    'Whether the log has this event at this position, or had one that was removed since.';

-- Times do not rise with positions, since writers overlap; the highest time so far does.
CREATE FUNCTION eventstream.position_at_time(p_time timestamptz, p_stable bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    v_stable bigint := coalesce(p_stable, (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0));
    v_position bigint;
BEGIN
    SELECT m.position INTO v_position
    FROM eventstream.log_marks AS m
    WHERE m.recorded_at < p_time
    ORDER BY m.recorded_at DESC, m.position DESC LIMIT 1;
    SELECT e.position INTO v_position
    FROM eventstream.events AS e
    WHERE e.position > coalesce(v_position, 0) AND e.position <= v_stable AND e.recorded_at >= p_time
    ORDER BY e.position LIMIT 1;
    RETURN coalesce(v_position, v_stable + 1);
END;
$$;

COMMENT ON FUNCTION eventstream.position_at_time IS
    'Position of the first event recorded at p_time or later; the one after p_stable, by default the kept position, if '
    'there is none.';

-- Where reading begins, as a checkpoint: the position before the first event. p_stable is a stable position that an
-- earlier statement read.
CREATE FUNCTION eventstream.start_checkpoint(p_start jsonb, p_stable bigint) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_number bigint;
    v_position bigint;
BEGIN
    CASE
        WHEN p_start ->> 'from' = 'beginning' OR p_start ? 'partition_sequences' THEN
            RETURN 0;
        WHEN p_start ->> 'from' = 'latest' THEN
            RETURN p_stable;
        WHEN p_start ? 'position' THEN
            v_number := (p_start ->> 'position')::bigint;
            -- The caller may have seen an event that is committed and not stable yet.
            v_position := greatest(p_stable, eventstream.last_position());
            IF v_number > v_position + 1 THEN
                PERFORM eventstream.refuse_beyond_end('position', v_number, v_position);
            END IF;
            RETURN greatest(v_number - 1, 0);
        WHEN p_start ? 'sequence' THEN
            v_number := greatest((p_start ->> 'sequence')::bigint, 1);
            -- The number after the last one may be asked for: it is still to come.
            v_position := CASE WHEN v_number = 1
                THEN 0 ELSE eventstream.position_of_sequence(v_number - 1, p_stable) END;
            IF v_position IS NULL THEN
                PERFORM eventstream.refuse_beyond_end('sequence', v_number, eventstream.sequence_at(p_stable));
            END IF;
            RETURN v_position;
        WHEN p_start ? 'after' THEN
            v_number := (p_start -> 'after' ->> 'position')::bigint;
            IF NOT eventstream.holds_event(v_number, (p_start -> 'after' ->> 'event_id')::uuid) THEN
                PERFORM eventstream.refuse(
                    'ES013',
                    format('the log does not hold event %s at position %s', p_start -> 'after' ->> 'event_id', v_number),
                    jsonb_build_object('field', 'event', 'position', v_number, 'last', eventstream.last_position()),
                    'The log went back since it was read, by a failover or a restore, or is another: '
                    'go on behind an event that it holds, or from the beginning.');
            END IF;
            RETURN v_number;
        WHEN p_start ? 'time' THEN
            -- A caller's clock may be ahead of ours, and ours may have been set back since an event was recorded; a
            -- time later than that is a mistake, and would mean from now on.
            IF (p_start ->> 'time')::timestamptz > interval '5 minutes' + greatest(clock_timestamp(),
                (SELECT l.last_recorded_at FROM eventstream.log_state AS l WHERE l.lane = 0))
            THEN
                PERFORM eventstream.refuse_value('start time', p_start ->> 'time',
                    'not in the future: for what is to come, use the start latest');
            END IF;
            RETURN eventstream.position_at_time((p_start ->> 'time')::timestamptz, p_stable) - 1;
        ELSE
            PERFORM eventstream.refuse_value('start', p_start::text,
                'one of {"from": "beginning"}, {"from": "latest"}, '
                'and an object with position, sequence, after, time or partition_sequences');
    END CASE;
END;
$$;

COMMENT ON FUNCTION eventstream.start_checkpoint IS
    'The checkpoint that a start stands for in the log up to p_stable; ES013 beyond its end.';

CREATE FUNCTION eventstream.start_partitions(p_start jsonb, p_stable bigint) RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r record;
    v_position bigint;
    v_positions jsonb := '{}';
BEGIN
    FOR r IN
        SELECT p.key::integer AS partition_id, p.value::bigint AS sequence
        FROM jsonb_each_text(coalesce(p_start -> 'partition_sequences', '{}')) AS p
    LOOP
        IF r.partition_id NOT BETWEEN 0 AND eventstream.partition_count() - 1 THEN
            PERFORM eventstream.refuse_value('partition', r.partition_id::text,
                format('from 0 to %s', eventstream.partition_count() - 1));
        END IF;
        -- Nothing is delivered up to the event before the first one wanted.
        v_position := CASE WHEN r.sequence > 1
            THEN eventstream.position_of_partition_sequence(r.partition_id, r.sequence - 1, p_stable) ELSE 0 END;
        IF v_position IS NULL THEN
            PERFORM eventstream.refuse_beyond_end(format('sequence of partition %s', r.partition_id), r.sequence,
                eventstream.partition_sequence_at(r.partition_id, p_stable));
        END IF;
        v_positions := v_positions || jsonb_build_object(r.partition_id::text, v_position);
    END LOOP;
    RETURN v_positions;
END;
$$;

COMMENT ON FUNCTION eventstream.start_partitions IS
    'Partition to position, for a start that gives sequence numbers of partitions; ES013 beyond the end of one.';
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.start_partitions(jsonb, bigint);
DROP FUNCTION eventstream.start_checkpoint(jsonb, bigint);
DROP FUNCTION eventstream.position_at_time(timestamptz, bigint);
DROP FUNCTION eventstream.read_fault(bigint);
DROP FUNCTION eventstream.holds_event(bigint, uuid);
DROP FUNCTION eventstream.refuse_beyond_end(text, bigint, bigint);
DROP FUNCTION eventstream.read_log(bigint, bigint, integer, boolean, integer[], text, text[], text);
DROP FUNCTION eventstream.event_weight(jsonb, bytea, jsonb);
DROP FUNCTION eventstream.is_light(bytea);
DROP FUNCTION eventstream.is_light(jsonb);
DROP FUNCTION eventstream.category(text);
