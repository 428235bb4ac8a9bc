package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	acme  = eventstream.TenantID("acme")
	rival = eventstream.TenantID("rival")
)

// tenantLogin makes a role that may act for tenants, and nothing else: for those that are named alone, if any is.
func tenantLogin(t testing.TB, b *bundle, tenants ...eventstream.TenantID) string {
	t.Helper()
	role := plainRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_tenant TO `+role)
	for _, tenant := range tenants {
		execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.tenant_roles VALUES ('`+role+`', '`+string(tenant)+`')`)
	}
	return role
}

// poolAs is a pool whose sessions are a role's.
func poolAs(t testing.TB, b *bundle, role string, options ...bundleOption) *pgxpool.Pool {
	t.Helper()
	return newPool(t, b.dsn, append(options, func(c *pgxpool.Config) {
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET SESSION AUTHORIZATION "+role)
			return err
		}
	})...)
}

// tenantRepos are repositories for a tenant over each kind of login that may have one.
func tenantRepos(t testing.TB, b *bundle) map[string]*eventstream.Repository {
	t.Helper()
	service := plainRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT eventstream_writer, eventstream_reader, eventstream_subscriber, eventstream_tenant TO `+service)
	return map[string]*eventstream.Repository{
		"superuser":             b.repo,
		"service for all":       repoOn(t, poolAs(t, b, service)),
		"tenants' login":        repoOn(t, poolAs(t, b, tenantLogin(t, b))),
		"login of these two":    repoOn(t, poolAs(t, b, tenantLogin(t, b, acme, rival))),
		"superuser, one by one": withoutGroup(t, b.pool),
	}
}

func withoutGroup(t testing.TB, handle eventstream.Handle) *eventstream.Repository {
	t.Helper()
	config := &eventstream.Config{}
	config.Group.Off = true
	repo, err := eventstream.NewRepository(handle, config)
	require.NoError(t, err)
	return repo
}

// sessionFor is a session of a role that says for which tenant it acts.
func sessionFor(t testing.TB, b *bundle, role string, tenant eventstream.TenantID) *pgx.Conn {
	t.Helper()
	conn := connect(t, b.dsn, role)
	execSQL(t, b.ctx, conn, `SELECT set_config('eventstream.tenant_id', '`+string(tenant)+`', false)`)
	return conn
}
