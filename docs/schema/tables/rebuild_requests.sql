-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.rebuild_requests (
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    taken_at timestamp with time zone,
    ended_at timestamp with time zone,
    request_id uuid DEFAULT gen_random_uuid() NOT NULL,
    takes integer DEFAULT 0 NOT NULL,
    shard_count integer,
    in_place boolean NOT NULL,
    projection text COLLATE "C" NOT NULL,
    requested_by text DEFAULT SESSION_USER NOT NULL,
    taken_by text,
    outcome text,
    error text,
    CONSTRAINT rebuild_requests_ended_whole CHECK ((ended_at IS NULL) = (outcome IS NULL) AND (outcome IS NULL OR (outcome = ANY (ARRAY['done'::text, 'failed'::text, 'canceled'::text]))) AND (NOT outcome IS DISTINCT FROM 'failed'::text) = (error IS NOT NULL)),
    CONSTRAINT rebuild_requests_pkey PRIMARY KEY (projection),
    CONSTRAINT rebuild_requests_projection_fkey FOREIGN KEY (projection) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE,
    CONSTRAINT rebuild_requests_shard_count_range CHECK (shard_count >= 1 AND shard_count <= eventstream.partition_count()),
    CONSTRAINT rebuild_requests_taken_whole CHECK (takes >= 0 AND (takes > 0) = (taken_at IS NOT NULL) AND (takes > 0) = (taken_by IS NOT NULL))
);

ALTER TABLE eventstream.rebuild_requests ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.rebuild_requests IS 'The last request to rebuild each projection, by request_rebuild(): a process that runs the projection takes it up.';
COMMENT ON COLUMN eventstream.rebuild_requests.requested_at IS 'When it was requested.';
COMMENT ON COLUMN eventstream.rebuild_requests.taken_at IS 'When a process took it up last; NULL while none has.';
COMMENT ON COLUMN eventstream.rebuild_requests.ended_at IS 'When it ended; NULL while it is open.';
COMMENT ON COLUMN eventstream.rebuild_requests.request_id IS 'Names the request: the next one has another.';
COMMENT ON COLUMN eventstream.rebuild_requests.takes IS 'How often it was taken up: more than once if a process died, shut down or lost the database meanwhile.';
COMMENT ON COLUMN eventstream.rebuild_requests.shard_count IS 'How many shards the rebuild has; NULL for as many as the projection.';
COMMENT ON COLUMN eventstream.rebuild_requests.in_place IS 'Whether the live tables are emptied and filled again, rather than new ones built beside them.';
COMMENT ON COLUMN eventstream.rebuild_requests.projection IS 'The projection.';
COMMENT ON COLUMN eventstream.rebuild_requests.requested_by IS 'The database user who requested it.';
COMMENT ON COLUMN eventstream.rebuild_requests.taken_by IS 'What the process that took it up last calls itself.';
COMMENT ON COLUMN eventstream.rebuild_requests.outcome IS 'done: the new tables are live; failed: see error; canceled: by cancel_rebuild(). NULL while it is open.';
COMMENT ON COLUMN eventstream.rebuild_requests.error IS 'Why it failed.';

CREATE POLICY rebuild_requests_all_tenants ON eventstream.rebuild_requests TO eventstream_all_tenants USING (true);
COMMENT ON POLICY rebuild_requests_all_tenants ON eventstream.rebuild_requests IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.rebuild_requests TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.rebuild_requests TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.rebuild_requests TO eventstream_subscriber;
