-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.subscription_skips (
    "position" bigint NOT NULL,
    skipped_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    skipped_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    CONSTRAINT subscription_skips_pkey PRIMARY KEY (subscription, "position"),
    CONSTRAINT subscription_skips_reason_given CHECK (reason ~ '[^[:space:]]'::text)
);

ALTER TABLE eventstream.subscription_skips ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.subscription_skips IS 'Events that a subscription shall not handle, by the decision of a person: whose, when and why. Rows outlive the subscription.';
COMMENT ON COLUMN eventstream.subscription_skips."position" IS 'Position of the event.';
COMMENT ON COLUMN eventstream.subscription_skips.skipped_at IS 'When it was skipped.';
COMMENT ON COLUMN eventstream.subscription_skips.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.subscription_skips.skipped_by IS 'The database user who skipped it.';
COMMENT ON COLUMN eventstream.subscription_skips.reason IS 'Why, in the words of the person who skipped it.';

CREATE TRIGGER subscription_skips_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.subscription_skips FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'what was skipped stays on record', 'Skip an event with eventstream.skip_event.');
COMMENT ON TRIGGER subscription_skips_frozen ON eventstream.subscription_skips IS 'Skips stay on record.';

CREATE POLICY subscription_skips_all_tenants ON eventstream.subscription_skips TO eventstream_all_tenants USING (true);
COMMENT ON POLICY subscription_skips_all_tenants ON eventstream.subscription_skips IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.subscription_skips TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.subscription_skips TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.subscription_skips TO eventstream_subscriber;
