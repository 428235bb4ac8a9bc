-- +goose Up
-- What values may be, said once; and what is computed from them: partitions, lock keys and event ids.
-- Locks: none, everything here is new.
--
-- Rules are functions that PostgreSQL inlines: the gate asks them for all rows of a statement in one query. As CHECKs
-- of the table, or as domains that raise errors with a hint, they cost 3 to 8 microseconds apiece in every statement,
-- since they are prepared anew in each. eventstream/testdata/values.json holds the cases that Go and SQL must judge
-- alike.
-- +goose StatementBegin

-- 1 to 128 bytes; no control characters (C0, DEL, C1); no white space (Unicode's, as Go's unicode.IsSpace) at either
-- end.
CREATE FUNCTION eventstream.is_name(p_value text) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN octet_length(p_value) <= 128
    AND p_value ~ ('^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        '([^\u0001-\u001f\u007f-\u009f]*'
        '[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$');

COMMENT ON FUNCTION eventstream.is_name IS
    'Whether a text may be a stream id or an event type: 1 to 128 bytes, no control characters, no white space at '
    'either end.';

-- Safe in a URL, a file name and a role name.
CREATE FUNCTION eventstream.is_tenant_id(p_value text) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN octet_length(p_value) <= 64 AND p_value ~ '^[A-Za-z0-9_-]+$';

COMMENT ON FUNCTION eventstream.is_tenant_id IS
    'Whether a text may be a tenant id: 1 to 64 of the characters A-Z a-z 0-9 _ -.';

CREATE FUNCTION eventstream.is_partition(p_value integer) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN p_value >= 0 AND p_value < eventstream.partition_count();

COMMENT ON FUNCTION eventstream.is_partition IS 'Whether the store has this partition: 0 to partition_count() - 1.';

-- Times that Go and JSON can carry; not infinity. The very first microsecond is Go's zero time, which is what a
-- forgotten time looks like.
CREATE FUNCTION eventstream.is_time(p_value timestamptz) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN p_value > '0001-01-01 00:00:00+00'::timestamptz AND p_value < '10000-01-01 00:00:00+00'::timestamptz;

COMMENT ON FUNCTION eventstream.is_time IS
    'Whether a time is in the years 1 to 9999, UTC, and not 0001-01-01 00:00:00, which is Go''s zero time.';

-- A clock may be set, forwards or back, while a statement runs: what was written before is no less honest, so the time
-- need only be near the beginning or the end of the statement, as the clock then said.
CREATE FUNCTION eventstream.is_now(p_value timestamptz) RETURNS boolean
LANGUAGE sql
VOLATILE
RETURN p_value >= least(statement_timestamp(), clock_timestamp()) - interval '1 minute'
    AND p_value <= greatest(statement_timestamp(), clock_timestamp()) + interval '1 minute';

COMMENT ON FUNCTION eventstream.is_now IS
    'Whether a time is of the statement in hand, by the database''s clock, give or take a minute: the clock may be set '
    'meanwhile.';

-- JSON that can be read again. jsonb keeps 1e131071 in 16 bytes and prints it in 131072; what is printed is what
-- readers and pg_dump get, and no text of a gigabyte exists. With a backslash before each character (COPY) and whatever
-- else the row has, 64 MB leave room; any JSON that prints in 64 MB is also within the limits of jsonb itself. Nesting
-- is bounded for those who read it: many decoders take 1000 levels and no more.
CREATE FUNCTION eventstream.json_fault(p_value jsonb) RETURNS text
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_bytes integer;
BEGIN
    v_bytes := octet_length(p_value::text);
    RETURN CASE
        WHEN v_bytes > 64000000 THEN v_bytes || ' bytes as text'
        WHEN jsonb_path_exists(p_value, 'strict $.**{1000} ? (@.type() == "array" || @.type() == "object")')
            THEN 'more than 1000 levels'
    END;
EXCEPTION
    WHEN program_limit_exceeded THEN
        RETURN 'more bytes as text than a text can have';
    WHEN internal_error OR data_corrupted THEN
        -- What is stored has been damaged: the audit says so, rather than to fail.
        RETURN SQLERRM;
END;
$$;

COMMENT ON FUNCTION eventstream.json_fault IS
    'What is wrong with JSON that has more than 64000000 bytes as text, or more than 1000 levels of arrays and '
    'objects, or has been damaged; else NULL. Prints it: is_json() asks first whether that is needed.';

-- No 16 bytes print in more than 147459 (a number with all the digits that there can be, before and after the point),
-- and a level takes 8 bytes: what has fewer than 6900 bytes keeps both bounds. Only the size of a value that is not
-- compressed says so.
CREATE FUNCTION eventstream.is_json(p_value jsonb) RETURNS boolean
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN pg_column_size(p_value) < 6900 AND pg_column_compression(p_value) IS NULL
    OR eventstream.json_fault(p_value) IS NULL;

COMMENT ON FUNCTION eventstream.is_json IS
    'Whether JSON may be a payload or metadata: at most 64000000 bytes as text, and 1000 levels of arrays and objects.';

-- What an erased event holds. A mark in the row itself, so that every reader sees it, and a copy of the store has it too.
CREATE FUNCTION eventstream.is_erased(
    p_payload jsonb,
    p_data bytea,
    p_metadata jsonb
) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN p_metadata = '{"$erased": true}'::jsonb AND p_payload = 'null'::jsonb AND p_data IS NULL;

COMMENT ON FUNCTION eventstream.is_erased IS
    'Whether this is what an event holds whose content was taken away: the JSON null, no data, and metadata that say '
    'so.';

-- Bytes print as two digits each, or in pg_dump with bytea_output = escape as up to five characters.
CREATE FUNCTION eventstream.is_content(
    p_event_id uuid,
    p_payload jsonb,
    p_data bytea,
    p_metadata jsonb
) RETURNS boolean
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN p_event_id <> '00000000-0000-0000-0000-000000000000'::uuid
    AND jsonb_typeof(p_metadata) = 'object'
    AND eventstream.is_json(p_payload)
    AND eventstream.is_json(p_metadata)
    AND (octet_length(p_data) > 128000000) IS NOT TRUE
    -- An event may arrive erased, from a copy of a store where it was; whatever else has the mark would pass for one.
    AND (NOT p_metadata ? '$erased' OR eventstream.is_erased(p_payload, p_data, p_metadata));

COMMENT ON FUNCTION eventstream.is_content IS
    'Whether an event may have this id, which is not the nil UUID, this payload, at most 128000000 bytes of data, and '
    'these metadata, a JSON object, with the key $erased in an erased event alone.';

CREATE FUNCTION eventstream.check_name(p_field text, p_value text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventstream.is_name(p_value) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value(p_field, p_value,
            '1 to 128 bytes of UTF-8, without control characters, and without white space at either end');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.check_name IS 'Raises ES008 for a text that is_name() refuses, and for NULL.';

-- Of the values of an event, which one breaks its rule, and what the rule is. Slow, and called only when one does.
CREATE FUNCTION eventstream.refuse_values(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer,
    p_type text,
    p_metadata jsonb,
    p_occurred_at timestamptz
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.check_name('stream_id', p_stream_id);
    IF NOT eventstream.is_tenant_id(p_tenant_id) THEN
        PERFORM eventstream.refuse_value('tenant_id', p_tenant_id, '1 to 64 of the characters A-Z a-z 0-9 _ -');
    ELSIF NOT eventstream.is_partition(p_partition_id) THEN
        PERFORM eventstream.refuse(
            'ES007',
            format('partition %s does not exist: this store has partitions 0 to %s', p_partition_id, eventstream.partition_count() - 1),
            jsonb_build_object('partition_id', p_partition_id, 'partition_count', eventstream.partition_count()),
            'Leave the partition out, or take one from 0 to partition_count - 1.');
    END IF;
    PERFORM eventstream.check_name('event_type', p_type);
    IF jsonb_typeof(p_metadata) <> 'object' THEN
        PERFORM eventstream.refuse_value('metadata', p_metadata::text, 'a JSON object');
    ELSIF NOT eventstream.is_time(p_occurred_at) THEN
        PERFORM eventstream.refuse_value('occurred_at', p_occurred_at::text,
            'a time in the years 1 to 9999, and not 0001-01-01 00:00:00 UTC');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_values IS
    'Raises ES008 or ES007 for the first of the values that breaks its rule; returns if none does.';

CREATE FUNCTION eventstream.refuse_json(p_field text, p_value jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_fault text := eventstream.json_fault(p_value);
BEGIN
    IF v_fault IS NOT NULL THEN
        PERFORM eventstream.refuse_value(p_field, v_fault,
            'at most 64000000 bytes as text, with the exponents of numbers written out, and 1000 levels of arrays and '
            'objects');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_json IS
    'Raises ES008 for JSON that is too long as text, or nested too deep; returns otherwise.';

CREATE FUNCTION eventstream.refuse_content(
    p_event_id uuid,
    p_payload jsonb,
    p_data bytea,
    p_metadata jsonb
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_event_id = '00000000-0000-0000-0000-000000000000' THEN
        PERFORM eventstream.refuse_value('event_id', p_event_id::text, 'another one than the nil UUID, or left out');
    ELSIF octet_length(p_data) > 128000000 THEN
        PERFORM eventstream.refuse_value('data', octet_length(p_data) || ' bytes', 'at most 128000000 bytes');
    ELSIF p_metadata ? '$erased' AND eventstream.is_erased(p_payload, p_data, p_metadata) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('metadata', p_metadata::text,
            'without the key $erased, which marks an erased event: such a one has nothing else, the payload null, and no data');
    END IF;
    PERFORM eventstream.refuse_json('payload', p_payload);
    PERFORM eventstream.refuse_json('metadata', p_metadata);
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_content IS
    'Raises ES008 for what is_content() refuses, metadata that are no object apart; returns if nothing is wrong.';

-- Immutable, which raising an error is not, so that partition_of can be inlined: it is evaluated for a count that is
-- wrong, and only then.
CREATE FUNCTION eventstream.refuse_partition_count(p_count integer) RETURNS integer
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse_value('partition_count', p_count::text, 'a whole number from 1 to 32768');
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_partition_count IS
    'Raises ES008 for a partition count that cannot be. Never returns.';

-- SHA-256 is the same in every version of PostgreSQL and of Go, which no built-in hash function promises. The 64 bits
-- are unsigned: they are taken as two halves of 32, since bigint is signed. Text becomes bytes by a cast, with its
-- backslashes doubled, rather than by convert_to(), which is not immutable and could not be inlined; the encoding is
-- UTF8.
CREATE FUNCTION eventstream.partition_of(
    p_stream_id text,
    p_count integer
) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_count < 1 OR p_count > 32768 THEN eventstream.refuse_partition_count(p_count)
    ELSE ((
        ('x' || encode(substr(sha256(replace(p_stream_id, '\', '\\')::bytea), 1, 4), 'hex'))::bit(32)::bigint
            % p_count * (4294967296 % p_count)
        + ('x' || encode(substr(sha256(replace(p_stream_id, '\', '\\')::bytea), 5, 4), 'hex'))::bit(32)::bigint
    ) % p_count)::integer
END;

COMMENT ON FUNCTION eventstream.partition_of IS
    'Partition of a stream id: the first 8 bytes of its SHA-256, big-endian, modulo the count. The same as PartitionOf '
    'in Go.';

-- The lock that appenders of a stream take has two keys, so that it cannot look like an in-flight key, which is one of
-- 64 bits.
CREATE FUNCTION eventstream.stream_key(p_stream_id text) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN hashtext(p_stream_id COLLATE "C");

COMMENT ON FUNCTION eventstream.stream_key IS
    'Second key of the advisory lock of a stream; the first is 1163097202 (EStr). Two streams may share one: then they '
    'share the lock.';

-- PostgreSQL has uuidv7() from 18 on; events need one on 15 too: 48 bits of milliseconds over a random version 4, with
-- the version set to 7.
CREATE FUNCTION eventstream.uuid_v7() RETURNS uuid
LANGUAGE plpgsql
VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                PLACING substr(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) FROM 1 FOR 6),
            52, 1), 53, 1),
        'hex')::uuid;
END;
$$;

COMMENT ON FUNCTION eventstream.uuid_v7 IS
    'A new time-ordered UUID (RFC 9562, version 7), for events whose writer brings none.';

REVOKE EXECUTE ON FUNCTION
    eventstream.check_name, eventstream.refuse_values, eventstream.refuse_json, eventstream.refuse_content
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.uuid_v7, eventstream.stream_key, eventstream.partition_of, eventstream.refuse_partition_count,
    eventstream.refuse_content, eventstream.refuse_json, eventstream.refuse_values, eventstream.is_content,
    eventstream.is_erased, eventstream.is_json, eventstream.json_fault, eventstream.is_now, eventstream.is_time,
    eventstream.is_partition, eventstream.is_tenant_id, eventstream.is_name, eventstream.check_name;
