-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.calling_role()
 RETURNS name
 LANGUAGE sql
 STABLE
RETURN COALESCE((NULLIF(current_setting('role'::text), 'none'::text))::name, SESSION_USER);

COMMENT ON FUNCTION eventstream.calling_role() IS 'The role of the session: the one that was set, else the one that logged in. Not who calls where a function of somebody''s runs in between, or where PostgreSQL itself calls, as autovacuum does in a superuser''s session.';

GRANT EXECUTE ON FUNCTION eventstream.calling_role() TO PUBLIC;
