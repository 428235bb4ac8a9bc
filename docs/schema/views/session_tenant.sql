-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     tenant_id text

CREATE VIEW eventstream.session_tenant AS
 SELECT
         CASE
             WHEN (EXISTS ( SELECT
                FROM eventstream.tenant_roles r
               WHERE (r.role_name = ANY (ARRAY[SESSION_USER, CURRENT_USER])))) THEN eventstream.bound_tenant()
             ELSE NULLIF(current_setting('eventstream.tenant_id'::text, true), ''::text)
         END AS tenant_id;

COMMENT ON VIEW eventstream.session_tenant IS 'The tenant whose rows the session is shown: one row, NULL where it names none or where its login is bound to others. What the policies ask. Looks with the rights of its owner, and tells nothing of other logins.';

GRANT SELECT ON TABLE eventstream.session_tenant TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.session_tenant TO eventstream_tenant;
