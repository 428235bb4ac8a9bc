-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.parked_events (
    "position" bigint NOT NULL,
    version bigint NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tries integer NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    error text NOT NULL,
    CONSTRAINT parked_events_pkey PRIMARY KEY (subscription, "position"),
    CONSTRAINT parked_events_subscription_fkey FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE
);

ALTER TABLE eventstream.parked_events ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.parked_events IS 'Events that a subscription has put aside, because its handler failed on them or on an earlier event of their stream. They wait to be replayed or skipped.';
COMMENT ON COLUMN eventstream.parked_events."position" IS 'Position of the event.';
COMMENT ON COLUMN eventstream.parked_events.version IS 'Its version in its stream.';
COMMENT ON COLUMN eventstream.parked_events.parked_at IS 'When it was put aside.';
COMMENT ON COLUMN eventstream.parked_events.tries IS 'How often the handler failed on it; 0 if it waits behind another of its stream.';
COMMENT ON COLUMN eventstream.parked_events.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.parked_events.stream_id IS 'Its stream.';
COMMENT ON COLUMN eventstream.parked_events.error IS 'What the handler said last.';

CREATE INDEX parked_events_stream_idx ON eventstream.parked_events USING btree (subscription, stream_id, "position");
COMMENT ON INDEX eventstream.parked_events_stream_idx IS 'The parked events of a stream, in order.';

CREATE POLICY parked_events_all_tenants ON eventstream.parked_events TO eventstream_all_tenants USING (true);
COMMENT ON POLICY parked_events_all_tenants ON eventstream.parked_events IS 'Who is for all tenants sees all rows.';
CREATE POLICY parked_events_of_visible_streams ON eventstream.parked_events TO PUBLIC USING (eventstream.shows_stream(stream_id));
COMMENT ON POLICY parked_events_of_visible_streams ON eventstream.parked_events IS 'What happened to an event is for those alone who may read the stream.';

GRANT SELECT ON TABLE eventstream.parked_events TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.parked_events TO eventstream_reader;
GRANT DELETE, SELECT, UPDATE ON TABLE eventstream.parked_events TO eventstream_subscriber;
