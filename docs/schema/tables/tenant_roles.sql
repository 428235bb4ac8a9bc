-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.tenant_roles (
    role_name name NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    CONSTRAINT tenant_roles_pkey PRIMARY KEY (role_name, tenant_id),
    CONSTRAINT tenant_roles_tenant_id_valid CHECK (eventstream.is_tenant_id(tenant_id))
);

ALTER TABLE eventstream.tenant_roles ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.tenant_roles IS 'Logins that are bound to tenants: one that is listed sees and writes for its tenants alone, whatever its session says. One that is not listed is trusted to name the tenant that it acts for.';
COMMENT ON COLUMN eventstream.tenant_roles.role_name IS 'Name of a role that logs in.';
COMMENT ON COLUMN eventstream.tenant_roles.tenant_id IS 'A tenant that it may act for.';

CREATE POLICY tenant_roles_all_tenants ON eventstream.tenant_roles TO eventstream_all_tenants USING (true);
COMMENT ON POLICY tenant_roles_all_tenants ON eventstream.tenant_roles IS 'Who is for all tenants sees all rows.';
CREATE POLICY tenant_roles_own ON eventstream.tenant_roles FOR SELECT TO PUBLIC USING ((role_name = ANY (ARRAY[SESSION_USER, CURRENT_USER])));
COMMENT ON POLICY tenant_roles_own ON eventstream.tenant_roles IS 'A login sees to whom it is bound, and of no other.';

GRANT SELECT ON TABLE eventstream.tenant_roles TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.tenant_roles TO eventstream_tenant;
