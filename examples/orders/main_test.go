package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// server is the one that all tests share; each has a database of its own.
var server *pgserver.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database is an empty one.
func database(t *testing.T) string {
	t.Helper()
	name := "orders_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.Connect(t.Context(), server.DSN(""))
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	require.NoError(t, err)
	return server.DSN(name)
}

// outbox keeps what was mailed, in order.
type outbox struct {
	mu       sync.Mutex
	subjects []string
}

func (o *outbox) Send(_ context.Context, _, subject string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.subjects = append(o.subjects, subject)
	return nil
}

func TestDemonstration(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	require.NoError(t, run(t.Context(), dsn))
	require.NoError(t, run(t.Context(), dsn), "a second time, on what the first one left")
	require.ErrorContains(t, run(t.Context(), ""), "DATABASE_URL")
}

// An order is paid from an account in one decision; what is refused changes nothing; a request that comes again counts once; and the read
// models and the mails follow.
func TestService(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	mails := &outbox{}
	s, err := newService(pool, mails)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(ctx) }()

	require.NoError(t, s.handle(ctx, "order-1", uuid.New(), place{Customer: "ada", Cents: 700}))
	require.ErrorIs(t, s.handle(ctx, "order-1", uuid.New(), place{Customer: "eve", Cents: 1}), errExists)
	require.ErrorIs(t, s.handle(ctx, "order-1", uuid.New(), ship{}), errNotPaid)
	require.ErrorIs(t, s.pay(ctx, uuid.New(), pay{"order-1", "account-1"}), errTooLittle)
	credited, paid := uuid.New(), uuid.New()
	for range 2 {
		require.NoError(t, s.handle(ctx, "account-1", credited, credit{Cents: 1000}))
	}
	for range 2 {
		require.NoError(t, s.pay(ctx, paid, pay{"order-1", "account-1"}))
	}
	require.ErrorIs(t, s.pay(ctx, uuid.New(), pay{"order-1", "account-1"}), errNotOwed)
	require.NoError(t, s.handle(ctx, "order-1", uuid.New(), ship{}))

	require.NoError(t, s.level(ctx))
	require.NoError(t, s.healthy(ctx))
	var orders, cents, left int64
	require.NoError(t, pool.QueryRow(ctx, `SELECT orders, cents FROM customers.customers WHERE customer = 'ada'`).Scan(&orders, &cents))
	require.Equal(t, []int64{1, 700}, []int64{orders, cents})
	require.NoError(t, pool.QueryRow(ctx, `SELECT cents FROM accounts.accounts WHERE account = 'account-1'`).Scan(&left))
	require.Equal(t, int64(300), left)
	stop()
	require.NoError(t, <-ended)
	require.Equal(t, []string{"Your order-1 is paid", "Your order-1 is on its way"}, mails.subjects)
	require.NoError(t, s.repo.VerifyGapless(t.Context(), "order-1"))
}

// The rules are tested without a database.
func TestRules(t *testing.T) {
	t.Parallel()
	registry, err := events()
	require.NoError(t, err)
	test, placed := eventstreamtest.Rules[any, thing](rules(registry)), OrderPlaced{Customer: "ada", Cents: 5}
	test.Given(t, registry).When(place(placed)).Then(placed)
	test.Given(t, registry, placed).When(place(placed)).ThenError(errExists)
	test.Given(t, registry, placed).When(ship{}).ThenError(errNotPaid)
	test.Given(t, registry, placed, OrderPaid{Account: "account-1", Cents: 5}).When(ship{}).Then(OrderShipped{})
}

// What a service has that is neither domain nor read model nor SQL stays short: that is what the packages are for.
func TestServiceIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("service.go")
	require.NoError(t, err)
	lines, imports := 0, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "import (":
			imports = true
		case imports:
			imports = line != ")"
		case line == "", strings.HasPrefix(line, "//"), strings.HasPrefix(line, "package "):
		default:
			lines++
		}
	}
	t.Logf("service.go has %d lines besides comments and imports", lines)
	require.Less(t, lines, 60)
}
