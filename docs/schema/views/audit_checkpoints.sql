-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     subscription text COLLATE "C"
--     shard integer
--     "position" bigint
--     stable_position bigint
--     problem text

CREATE VIEW eventstream.audit_checkpoints WITH (security_invoker=true) AS
 SELECT h.subscription,
     h.shard,
     h."position",
     s.stable_position,
     'beyond the stable position'::text AS problem
    FROM (eventstream.subscription_shards h
      CROSS JOIN ( SELECT
                 CASE
                     WHEN pg_is_in_recovery() THEN NULL::bigint
                     WHEN (current_setting('transaction_isolation'::text) = ANY (ARRAY['repeatable read'::text, 'serializable'::text])) THEN eventstream.last_position()
                     ELSE eventstream.stable_position()
                 END AS stable_position
          OFFSET 0) s)
   WHERE (h."position" > s.stable_position);

COMMENT ON VIEW eventstream.audit_checkpoints IS 'Shards of subscriptions that claim to have read what cannot be read yet: a restore that lost the end of the log, or somebody who wrote checkpoints. They will miss events. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_checkpoints TO eventstream_auditor;
