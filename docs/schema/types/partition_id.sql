-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.partition_id AS integer
    CONSTRAINT partition_id_valid CHECK (
CASE
    WHEN VALUE IS NULL OR VALUE >= 0 AND VALUE < eventstream.partition_count() THEN true
    ELSE eventstream.refuse('ES007'::text, format('there is no partition %s: this store has partitions 0 to %s'::text, VALUE, eventstream.partition_count() - 1), jsonb_build_object('partition_id', VALUE, 'partition_count', eventstream.partition_count()), 'Leave the partition out, or take one from 0 to partition_count - 1.'::text)
END);

COMMENT ON DOMAIN eventstream.partition_id IS 'Partition of a stream: 0 to partition_count() - 1.';

GRANT USAGE ON DOMAIN eventstream.partition_id TO PUBLIC;
