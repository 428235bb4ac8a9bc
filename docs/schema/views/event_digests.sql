-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     "position" bigint
--     stream_id text COLLATE "C"
--     version bigint
--     payload_digest bytea
--     data_digest bytea
--     metadata_digest bytea
--     digest bytea

CREATE VIEW eventstream.event_digests WITH (security_invoker=true) AS
 SELECT c."position",
     c.stream_id,
     c.version,
     c.payload_digest,
     c.data_digest,
     c.metadata_digest,
     sha256((((((((((((((((((((((('\x0000000008'::bytea || int8send(c."position")) || '\x00000008'::bytea) || int8send(c.version)) || '\x00000010'::bytea) || uuid_send(c.event_id)) || '\x00000008'::bytea) || timestamptz_send(c.occurred_at)) || '\x00000008'::bytea) || timestamptz_send(c.recorded_at)) || '\x00000004'::bytea) || int4send(c.partition_id)) || int4send(octet_length(c.stream_id))) || convert_to(c.stream_id, 'UTF8'::name)) || int4send(octet_length(c.tenant_id))) || convert_to(c.tenant_id, 'UTF8'::name)) || int4send(octet_length(c.type))) || convert_to(c.type, 'UTF8'::name)) || '\x00000020'::bytea) || c.payload_digest) || COALESCE(('\x00000020'::bytea || c.data_digest), '\xffffffff'::bytea)) || '\x00000020'::bytea) || c.metadata_digest)) AS digest
    FROM ( SELECT e."position",
             e.version,
             e.event_id,
             e.occurred_at,
             e.recorded_at,
             e.partition_id,
             e.stream_id,
             e.tenant_id,
             e.type,
             COALESCE(x.payload_digest, sha256(convert_to((e.payload)::text, 'UTF8'::name))) AS payload_digest,
                 CASE
                     WHEN (x.payload_digest IS NULL) THEN sha256(e.data)
                     ELSE x.data_digest
                 END AS data_digest,
             COALESCE(x.metadata_digest, sha256(convert_to((e.metadata)::text, 'UTF8'::name))) AS metadata_digest
            FROM (eventstream.events e
              LEFT JOIN eventstream.erasures x ON ((eventstream.is_erased(e.payload, e.data, e.metadata) AND (x.stream_id = e.stream_id) AND (x.version = e.version) AND (x.event_id = e.event_id) AND (x.place = 'events'::text))))) c;

COMMENT ON VIEW eventstream.event_digests IS 'The digest of each event, as seals count it: docs/seals.md.';
COMMENT ON COLUMN eventstream.event_digests."position" IS 'The event.';
COMMENT ON COLUMN eventstream.event_digests.stream_id IS 'Its stream.';
COMMENT ON COLUMN eventstream.event_digests.version IS 'Its version.';
COMMENT ON COLUMN eventstream.event_digests.payload_digest IS 'SHA-256 of the payload as the database prints it, in UTF-8.';
COMMENT ON COLUMN eventstream.event_digests.data_digest IS 'SHA-256 of data; NULL if there is none.';
COMMENT ON COLUMN eventstream.event_digests.metadata_digest IS 'SHA-256 of the metadata as the database prints it, in UTF-8.';
COMMENT ON COLUMN eventstream.event_digests.digest IS 'SHA-256 of a zero byte, and of every column with its length before it; of payload, data and metadata, of their digests.';

GRANT SELECT ON TABLE eventstream.event_digests TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.event_digests TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.event_digests TO eventstream_subscriber;
