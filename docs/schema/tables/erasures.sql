-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.erasures (
    erasure bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    "position" bigint,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    erased_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    place text COLLATE "C" DEFAULT 'events'::text NOT NULL,
    erased_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    payload_digest bytea NOT NULL,
    data_digest bytea,
    metadata_digest bytea NOT NULL,
    CONSTRAINT erasures_digests_whole CHECK (octet_length(payload_digest) = 32 AND (octet_length(data_digest) = 32) IS NOT FALSE AND octet_length(metadata_digest) = 32),
    CONSTRAINT erasures_erasure_key UNIQUE (erasure),
    CONSTRAINT erasures_pkey PRIMARY KEY (stream_id, version, place, event_id),
    CONSTRAINT erasures_place_known CHECK (place = 'events'::text AND "position" IS NOT NULL OR place = 'discarded_events'::text AND "position" IS NULL),
    CONSTRAINT erasures_reason_given CHECK (reason ~ '[^[:space:]]'::text)
);

ALTER TABLE eventstream.erasures ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.erasures IS 'Events whose content was taken away by eventstream.erase(): when, by whom and why, and the digests that keep their seals valid. Written by the statement that erases, and never changed.';
COMMENT ON COLUMN eventstream.erasures.erasure IS 'Its number: an audit looks at those that came since the last clean one.';
COMMENT ON COLUMN eventstream.erasures."position" IS 'Place of the event in the log; NULL for one that never entered it.';
COMMENT ON COLUMN eventstream.erasures.version IS 'Version of the event.';
COMMENT ON COLUMN eventstream.erasures.event_id IS 'Identity of the event.';
COMMENT ON COLUMN eventstream.erasures.erased_at IS 'When it was erased, by the database''s clock.';
COMMENT ON COLUMN eventstream.erasures.stream_id IS 'Stream of the event.';
COMMENT ON COLUMN eventstream.erasures.place IS 'Table that it is in: events or discarded_events.';
COMMENT ON COLUMN eventstream.erasures.erased_by IS 'The database user who erased it.';
COMMENT ON COLUMN eventstream.erasures.reason IS 'Why it was erased. Stays for good: it names no person.';
COMMENT ON COLUMN eventstream.erasures.payload_digest IS 'SHA-256 of the payload, as seals count it.';
COMMENT ON COLUMN eventstream.erasures.data_digest IS 'SHA-256 of data; NULL if there was none.';
COMMENT ON COLUMN eventstream.erasures.metadata_digest IS 'SHA-256 of the metadata, as seals count it.';

CREATE TRIGGER erasures_append_only BEFORE DELETE OR UPDATE ON eventstream.erasures FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'an erasure is on record for good', 'What was erased does not come back.');
COMMENT ON TRIGGER erasures_append_only ON eventstream.erasures IS 'Erasures stay on record.';
CREATE TRIGGER erasures_gate AFTER INSERT ON eventstream.erasures REFERENCING NEW TABLE AS new_erasures FOR EACH STATEMENT EXECUTE FUNCTION eventstream.erasures_gate();
COMMENT ON TRIGGER erasures_gate ON eventstream.erasures IS 'No record without its erasure.';
CREATE TRIGGER erasures_no_truncate BEFORE TRUNCATE ON eventstream.erasures FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'an erasure is on record for good', 'What was erased does not come back.');
COMMENT ON TRIGGER erasures_no_truncate ON eventstream.erasures IS 'Erasures stay on record.';

CREATE POLICY erasures_all_tenants ON eventstream.erasures TO eventstream_all_tenants USING (true);
COMMENT ON POLICY erasures_all_tenants ON eventstream.erasures IS 'Who is for all tenants sees all rows.';
CREATE POLICY erasures_of_visible_streams ON eventstream.erasures TO PUBLIC USING (eventstream.shows_stream(stream_id));
COMMENT ON POLICY erasures_of_visible_streams ON eventstream.erasures IS 'What happened to an event is for those alone who may read the stream.';

GRANT SELECT ON TABLE eventstream.erasures TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.erasures TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.erasures TO eventstream_subscriber;
