-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.tenant_id AS text COLLATE "C"
    CONSTRAINT tenant_id_valid CHECK (
CASE
    WHEN VALUE IS NULL THEN true
    WHEN octet_length(VALUE) <= 64 AND VALUE ~ '^[A-Za-z0-9_-]+$'::text THEN true
    ELSE eventstream.refuse_value('tenant_id'::text, VALUE, '1 to 64 of the characters A-Z a-z 0-9 _ -'::text)
END);

COMMENT ON DOMAIN eventstream.tenant_id IS 'Owner of a stream: 1 to 64 of A-Z a-z 0-9 _ -; default unless said otherwise.';

GRANT USAGE ON DOMAIN eventstream.tenant_id TO PUBLIC;
