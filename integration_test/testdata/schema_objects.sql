-- An object of every kind that internal/schemadump knows, for TestSchemaFilesShowEveryKindOfObject.
CREATE SCHEMA eventstream;
GRANT USAGE ON SCHEMA eventstream TO a_role;

CREATE DOMAIN eventstream.amount AS numeric(12, 2) DEFAULT 1 NOT NULL
    CONSTRAINT amount_positive CHECK (VALUE > 0) CONSTRAINT amount_small CHECK (VALUE < 1000);
COMMENT ON DOMAIN eventstream.amount IS 'Money.';
COMMENT ON CONSTRAINT amount_positive ON DOMAIN eventstream.amount IS 'No debts.';
REVOKE USAGE ON DOMAIN eventstream.amount FROM PUBLIC;
CREATE TYPE eventstream.colour AS ENUM ('red', 'green');
COMMENT ON TYPE eventstream.colour IS 'Two are enough.';
CREATE TYPE eventstream.point AS (x integer, y text COLLATE "C");
COMMENT ON COLUMN eventstream.point.x IS 'To the right.';
CREATE TYPE eventstream.span AS RANGE (SUBTYPE = float8);

CREATE FUNCTION eventstream.doubled(p_n integer) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = '' AS 'SELECT 2 * p_n';
CREATE FUNCTION eventstream.doubled(p_n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT 2 * p_n; END;
COMMENT ON FUNCTION eventstream.doubled(integer) IS 'It''s twice.';
REVOKE EXECUTE ON FUNCTION eventstream.doubled(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.doubled(integer) TO a_role WITH GRANT OPTION;
CREATE PROCEDURE eventstream.tidy() LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END';
CREATE FUNCTION eventstream.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';

CREATE TABLE eventstream.account (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT account_pkey PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    balance eventstream.amount,
    twice integer GENERATED ALWAYS AS (2 + 2) STORED,
    opened_for interval DEFAULT '1 day',
    note text,
    CONSTRAINT account_name_key UNIQUE (name) WITH (fillfactor = 80),
    CONSTRAINT account_named CHECK (name <> '')
) WITH (fillfactor = 90);
ALTER TABLE eventstream.account ALTER COLUMN note SET STORAGE EXTERNAL, ALTER COLUMN name SET (n_distinct = -1);
COMMENT ON TABLE eventstream.account IS E'Two\nlines.';
COMMENT ON COLUMN eventstream.account.name IS 'Of the account.';
COMMENT ON CONSTRAINT account_named ON eventstream.account IS 'Never empty.';
CREATE INDEX account_balance_idx ON eventstream.account (balance DESC) WHERE balance > 5;
COMMENT ON INDEX eventstream.account_balance_idx IS 'The rich first.';
CREATE TRIGGER account_note BEFORE INSERT ON eventstream.account FOR EACH ROW EXECUTE FUNCTION eventstream.note();
CREATE TRIGGER account_always AFTER UPDATE OF name ON eventstream.account FOR EACH ROW EXECUTE FUNCTION eventstream.note();
ALTER TABLE eventstream.account ENABLE ALWAYS TRIGGER account_always;
COMMENT ON TRIGGER account_note ON eventstream.account IS 'Takes note.';
CREATE POLICY account_own ON eventstream.account AS RESTRICTIVE FOR UPDATE TO a_role USING (id > 1) WITH CHECK (id > 2);
CREATE POLICY account_seen ON eventstream.account USING (name <> 'secret');
COMMENT ON POLICY account_seen ON eventstream.account IS 'No secrets.';
GRANT SELECT, INSERT ON eventstream.account TO a_role;
GRANT UPDATE (note, name) ON eventstream.account TO a_role;
GRANT SELECT (id) ON eventstream.account TO PUBLIC;

CREATE TABLE eventstream.part (a integer, b integer) PARTITION BY RANGE (a);
CREATE TABLE eventstream.part_1 PARTITION OF eventstream.part FOR VALUES FROM (1) TO (10);
CREATE UNLOGGED TABLE eventstream."a/b" (id bigint REFERENCES eventstream.account (id));

CREATE VIEW eventstream.account_names WITH (security_barrier = true) AS
    SELECT name FROM eventstream.account WHERE id IN (SELECT account.id FROM eventstream.part AS p WHERE p.a = account.id);
COMMENT ON VIEW eventstream.account_names IS 'Names alone.';
COMMENT ON COLUMN eventstream.account_names.name IS 'A name.';
GRANT SELECT ON eventstream.account_names TO a_role;
CREATE MATERIALIZED VIEW eventstream.account_sums AS
    WITH s AS (SELECT name, sum(balance) AS total FROM eventstream.account GROUP BY name)
    SELECT name, total FROM s UNION ALL SELECT 'all', sum(total) FROM s;
CREATE UNIQUE INDEX account_sums_idx ON eventstream.account_sums (name);

CREATE SEQUENCE eventstream.loose AS integer START 5 INCREMENT 5 CYCLE;
COMMENT ON SEQUENCE eventstream.loose IS 'Of nobody.';
GRANT USAGE ON SEQUENCE eventstream.loose TO a_role;
