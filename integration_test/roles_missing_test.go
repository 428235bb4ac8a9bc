package integration_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// Who owns the database and may not create roles installs all the same, on a server that has none of them, and is told. The store works, with
// what its owner may do. What docs/security.md says is run later, by somebody who may create roles and by the owner: then each role has the rights
// of the table there, its policies, and the audit finds nothing.
func TestInstallWithoutTheRightToCreateRoles(t *testing.T) {
	t.Parallel()
	own := ownServer(t, pgserver.Options{})
	super := bundleOn(t, own.DSN(""))
	name := createDatabase(t, own)
	execSQL(t, super.ctx, super.pool, `CREATE ROLE installer NOCREATEROLE`)
	execSQL(t, super.ctx, super.pool, `CREATE ROLE administrator CREATEROLE`)
	execSQL(t, super.ctx, super.pool, `ALTER DATABASE `+name+` OWNER TO installer`)

	var mu sync.Mutex
	var notices []string
	pool := newPool(t, own.DSN(name), func(c *pgxpool.Config) {
		c.AfterConnect = authorized("installer")
		c.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			mu.Lock()
			defer mu.Unlock()
			notices = append(notices, n.Message)
		}
	})
	b := &bundle{ctx: super.ctx, dsn: own.DSN(name), pool: pool, repo: repoOn(t, pool)}
	require.NoError(t, migrations.Up(b.ctx, pool, nil))
	mu.Lock()
	told := strings.Join(notices, "\n")
	mu.Unlock()
	for _, role := range ourRoles {
		require.Contains(t, told, "role eventstream_"+role+" is not created, for want of the right: docs/security.md says how")
	}
	given(t, b, "order-1", 3)
	requireAuditClean(t, b)
	_, err := b.repo.ForTenant(acme).Load(b.ctx, "order-1")
	require.ErrorContains(t, err, "eventstream_tenant", "there is no such role yet")
	require.Zero(t, number(t, b.ctx, pool, `SELECT count(*) FROM pg_roles WHERE rolname LIKE 'eventstream\_%'`))

	blocks := docBlocks(t, "docs/security.md")
	require.Equal(t, []string{"text", "sql"}, []string{blocks[0].language, blocks[1].language}, "for the administrator, and for the owner")
	admin := connect(t, b.dsn, "administrator")
	simple(t, admin, blocks[0].text)
	simple(t, admin, blocks[0].text) // once more is harmless
	_, err = pool.Exec(b.ctx, blocks[1].text)
	require.NoError(t, err)
	page := readDoc(t, "docs/security.md")
	_, rest, _ := strings.Cut(page, "<!-- rights -->\n")
	matrix, _, _ := strings.Cut(rest, "<!-- end of rights -->")
	require.Equal(t, matrix, rightsMatrix(t, b))
	requireAuditClean(t, b)

	whole := setup(t) // where the installer might
	policies := `SELECT concat_ws(' ', y.polrelid::regclass, y.polname, y.polcmd, y.polroles::regrole[], pg_get_expr(y.polqual, y.polrelid))
		FROM pg_policy AS y ORDER BY 1`
	require.Equal(t, texts(t, whole, policies), texts(t, b, policies))
	for _, role := range ourRoles {
		members := `SELECT coalesce(string_agg(m.member::regrole::text, ' ' ORDER BY m.member::regrole::text), '') FROM pg_auth_members AS m
			WHERE m.roleid = to_regrole($1) AND m.member::regrole::text LIKE 'eventstream\_%'`
		require.Equal(t, texts(t, whole, members, "eventstream_"+role), texts(t, b, members, "eventstream_"+role), role)
	}
	asSuper := bundleOn(t, own.DSN(name))
	_, err = asSuper.repo.ForTenant(acme).Append(b.ctx, "order-2", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	_, err = asSuper.repo.ForTenant(acme).Load(b.ctx, "order-1")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound, "it is of another tenant")
	requireAuditClean(t, b)
}
