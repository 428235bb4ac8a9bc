-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     subscription text
--     shard integer
--     shard_count integer
--     "position" bigint
--     stable_position bigint
--     lag_events bigint
--     lag_seconds double precision
--     events bigint
--     parked bigint
--     state text
--     member_id bigint
--     application text
--     lease_until timestamp with time zone
--     last_error text
--     failing_position bigint
--     failing_event uuid
--     tries integer
--     failing_since timestamp with time zone
--     epoch bigint
--     updated_at timestamp with time zone

CREATE VIEW eventstream.audit_subscriptions WITH (security_invoker=true) AS
 SELECT subscription_lag.subscription,
     subscription_lag.shard,
     subscription_lag.shard_count,
     subscription_lag."position",
     subscription_lag.stable_position,
     subscription_lag.lag_events,
     subscription_lag.lag_seconds,
     subscription_lag.events,
     subscription_lag.parked,
     subscription_lag.state,
     subscription_lag.member_id,
     subscription_lag.application,
     subscription_lag.lease_until,
     subscription_lag.last_error,
     subscription_lag.failing_position,
     subscription_lag.failing_event,
     subscription_lag.tries,
     subscription_lag.failing_since,
     subscription_lag.epoch,
     subscription_lag.updated_at
    FROM eventstream.subscription_lag() subscription_lag(subscription, shard, shard_count, "position", stable_position, lag_events, lag_seconds, events, parked, state, member_id, application, lease_until, last_error, failing_position, failing_event, tries, failing_since, epoch, updated_at);

COMMENT ON VIEW eventstream.audit_subscriptions IS 'How far each shard of each subscription is: events of its partitions not handled yet, whatever its filter, the age of the oldest of them in seconds, what is parked, who owns it, and what its handler fails on.';

GRANT SELECT ON TABLE eventstream.audit_subscriptions TO eventstream_auditor;
