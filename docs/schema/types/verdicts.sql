-- Written by "make generate" from migrations/; not edited by hand.

CREATE TYPE eventstream.verdicts AS (
    outcomes text[],
    first_versions bigint[],
    last_versions bigint[],
    last_positions bigint[],
    current_versions bigint[],
    watermarks bigint[],
    tenant_ids text[],
    partition_ids integer[],
    ends integer[],
    events bigint
);

COMMENT ON TYPE eventstream.verdicts IS 'What becomes of the requests of a batch: an array a column, an element a request.';

GRANT USAGE ON TYPE eventstream.verdicts TO PUBLIC;
