-- +goose Up
-- What a stream id, a tenant id and an event type may be, said once, and how ids turn into partitions and event ids are made.
-- Locks: none, everything here is new.
--
-- Each rule is a CASE, so that a value in order costs one comparison and a bad one is refused with ES008 and a HINT instead of
-- a bare constraint name. The Go package judges the same way; eventstream/testdata/values.json holds the cases for both.

-- 1 to 128 bytes; no control characters (C0, DEL, C1); no white space (Unicode's, as Go's unicode.IsSpace) at either end.
-- Byte order ("C"): locks are taken in this order, and a category is a range of ids.
CREATE DOMAIN eventstream.stream_id AS text COLLATE "C"
    CONSTRAINT stream_id_valid CHECK (
        CASE
            WHEN VALUE IS NULL THEN true
            WHEN octet_length(VALUE) <= 128
                AND VALUE ~ ('^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
                    '([^\u0001-\u001f\u007f-\u009f]*'
                    '[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$')
                THEN true
            ELSE eventstream.refuse_value('stream_id', VALUE,
                '1 to 128 bytes of UTF-8, without control characters, and without white space at either end')
        END
    );

COMMENT ON DOMAIN eventstream.stream_id IS
    'Name of a stream: 1 to 128 bytes, no control characters, no white space at either end. Its part before the first - is its category.';

-- 1 to 64 characters, safe in a URL, a file name and a role name.
CREATE DOMAIN eventstream.tenant_id AS text COLLATE "C"
    CONSTRAINT tenant_id_valid CHECK (
        CASE
            WHEN VALUE IS NULL THEN true
            WHEN octet_length(VALUE) <= 64 AND VALUE ~ '^[A-Za-z0-9_-]+$' THEN true
            ELSE eventstream.refuse_value('tenant_id', VALUE, '1 to 64 of the characters A-Z a-z 0-9 _ -')
        END
    );

COMMENT ON DOMAIN eventstream.tenant_id IS 'Owner of a stream: 1 to 64 of A-Z a-z 0-9 _ -; default unless said otherwise.';

-- 1 to 128 bytes: a letter, then letters, digits and _ - . : /
CREATE DOMAIN eventstream.event_type AS text COLLATE "C"
    CONSTRAINT event_type_valid CHECK (
        CASE
            WHEN VALUE IS NULL THEN true
            WHEN octet_length(VALUE) <= 128 AND VALUE ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$' THEN true
            ELSE eventstream.refuse_value('event_type', VALUE,
                '1 to 128 bytes: a letter, then letters, digits and _ - . : /')
        END
    );

COMMENT ON DOMAIN eventstream.event_type IS
    'Kind of an event: a letter, then letters, digits and _ - . : /; by convention lower-case words with dots, as order.placed.';

-- The value rules of columns are domains too, rather than CHECKs of their tables: PostgreSQL keeps a domain's rule ready for use, and
-- parses a table's CHECK anew in each statement, which costs 3 to 8 microseconds apiece.

-- Versions number a stream's events from 1.
CREATE DOMAIN eventstream.version AS bigint
    CONSTRAINT version_valid CHECK (
        CASE
            WHEN VALUE IS NULL OR VALUE >= 1 THEN true
            ELSE eventstream.refuse_value('version', VALUE::text, '1 or more')
        END
    );

COMMENT ON DOMAIN eventstream.version IS 'Number of an event in its stream: 1 or more.';

-- A head stands at 0 before its first event.
CREATE DOMAIN eventstream.head_version AS bigint
    CONSTRAINT head_version_valid CHECK (VALUE >= 0);

COMMENT ON DOMAIN eventstream.head_version IS 'Where a stream stands: 0 or more.';

-- A partition is one of those that the store was installed with.
CREATE DOMAIN eventstream.partition_id AS integer
    CONSTRAINT partition_id_valid CHECK (
        CASE
            WHEN VALUE IS NULL OR VALUE >= 0 AND VALUE < eventstream.partition_count() THEN true
            ELSE eventstream.refuse(
                'ES007',
                format('there is no partition %s: this store has partitions 0 to %s', VALUE, eventstream.partition_count() - 1),
                jsonb_build_object('partition_id', VALUE, 'partition_count', eventstream.partition_count()),
                'Leave the partition out, or take one from 0 to partition_count - 1.')
        END
    );

COMMENT ON DOMAIN eventstream.partition_id IS 'Partition of a stream: 0 to partition_count() - 1.';

-- Metadata are named values: consumers look them up by name.
CREATE DOMAIN eventstream.metadata AS jsonb
    CONSTRAINT metadata_valid CHECK (
        CASE
            WHEN VALUE IS NULL OR jsonb_typeof(VALUE) = 'object' THEN true
            ELSE eventstream.refuse_value('metadata', VALUE::text, 'a JSON object')
        END
    );

COMMENT ON DOMAIN eventstream.metadata IS 'What describes an event: a JSON object.';

-- Times that Go and JSON can carry: years 1 to 9999, not infinity.
CREATE DOMAIN eventstream.occurred_at AS timestamptz
    CONSTRAINT occurred_at_valid CHECK (
        CASE
            WHEN VALUE IS NULL OR VALUE >= '0001-01-01 00:00:00+00' AND VALUE < '10000-01-01 00:00:00+00' THEN true
            ELSE eventstream.refuse_value('occurred_at', VALUE::text, 'a time in the years 1 to 9999')
        END
    );

COMMENT ON DOMAIN eventstream.occurred_at IS 'When an event happened: a time in the years 1 to 9999.';

-- SHA-256 is the same in every version of PostgreSQL and of Go, which no built-in hash function promises. The 64 bits are
-- unsigned: they are taken as two halves of 32, since bigint is signed.
-- +goose StatementBegin
CREATE FUNCTION eventstream.partition_of(
    p_stream_id text,
    p_count integer
) RETURNS integer
LANGUAGE plpgsql
IMMUTABLE STRICT PARALLEL SAFE
SET search_path = ''
AS $$
DECLARE
    v_hash bytea := sha256(convert_to(p_stream_id, 'UTF8'));
    v_high bigint := ('x' || encode(substr(v_hash, 1, 4), 'hex'))::bit(32)::bigint;
    v_low bigint := ('x' || encode(substr(v_hash, 5, 4), 'hex'))::bit(32)::bigint;
BEGIN
    IF p_count NOT BETWEEN 1 AND 32768 THEN
        PERFORM eventstream.refuse_value('partition_count', p_count::text, 'a whole number from 1 to 32768');
    END IF;
    RETURN ((v_high % p_count) * (4294967296 % p_count) + v_low) % p_count;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.partition_of(text, integer) IS
    'Partition of a stream id: the first 8 bytes of its SHA-256, big-endian, modulo the count. The same as PartitionOf in Go.';

-- PostgreSQL has uuidv7() from 18 on; events need one on 15 too: 48 bits of milliseconds over a random version 4, with the
-- version set to 7.
-- +goose StatementBegin
CREATE FUNCTION eventstream.uuid_v7() RETURNS uuid
LANGUAGE plpgsql
VOLATILE PARALLEL SAFE
SET search_path = ''
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
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.uuid_v7() IS 'A new time-ordered UUID (RFC 9562, version 7), for events whose writer brings none.';

-- +goose Down
DROP FUNCTION eventstream.uuid_v7();
DROP FUNCTION eventstream.partition_of(text, integer);
DROP DOMAIN eventstream.occurred_at;
DROP DOMAIN eventstream.metadata;
DROP DOMAIN eventstream.partition_id;
DROP DOMAIN eventstream.head_version;
DROP DOMAIN eventstream.version;
DROP DOMAIN eventstream.event_type;
DROP DOMAIN eventstream.tenant_id;
DROP DOMAIN eventstream.stream_id;
