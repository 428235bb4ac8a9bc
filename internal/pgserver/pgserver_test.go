package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestSourcesOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  environment
		want []string
	}{
		"nothing named":                 {environment{}, []string{sourceContainer, sourceBinaries}},
		"a DSN is the only way":         {environment{dsn: "d"}, []string{sourceDSN}},
		"an image is the only way":      {environment{image: "i"}, []string{sourceContainer}},
		"a directory is the only way":   {environment{bindir: "b"}, []string{sourceBinaries}},
		"the DSN wins":                  {environment{dsn: "d", image: "i", bindir: "b"}, []string{sourceDSN}},
		"the source wins over the rest": {environment{dsn: "d", source: "binaries"}, []string{sourceBinaries}},
		"container forced":              {environment{source: "container"}, []string{sourceContainer}},
		"dsn forced":                    {environment{source: "dsn"}, []string{sourceDSN}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chosen, err := tc.env.sources()
			require.NoError(t, err)
			var got []string
			for _, s := range chosen {
				got = append(got, s.name)
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestSourceUnknown(t *testing.T) {
	t.Parallel()
	_, err := environment{source: "podman"}.sources()
	require.ErrorIs(t, err, ErrUnknownSource)
	require.ErrorContains(t, err, `"podman"`)
}

// fakeSource counts its calls in a shared log and gives what it was made with.
func fakeSource(log *[]string, name string, err error) source {
	return source{name, func(context.Context, request) (*Server, error) {
		*log = append(*log, name)
		if err != nil {
			return nil, err
		}
		return &Server{Origin: name}, nil
	}}
}

func TestStartFirstStopsAtTheFirstThatWorks(t *testing.T) {
	t.Parallel()
	var log []string
	server, err := startFirst(t.Context(), []source{
		fakeSource(&log, "a", errors.New("no a")), fakeSource(&log, "b", nil), fakeSource(&log, "c", nil),
	}, request{})
	require.NoError(t, err)
	require.Equal(t, "b", server.Origin)
	require.Equal(t, []string{"a", "b"}, log)
}

func TestStartFirstSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	var log []string
	_, err := startFirst(t.Context(), []source{
		fakeSource(&log, sourceContainer, fmt.Errorf("%w (refused)", ErrNoEngine)),
		fakeSource(&log, sourceBinaries, ErrNoBinaries),
	}, request{})

	var failed *StartError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Attempts, 2)
	require.ErrorIs(t, err, ErrNoEngine)
	require.ErrorIs(t, err, ErrNoBinaries)
	for _, part := range []string{
		"container: no Docker engine answers", "(refused)", "binaries: no directory holds postgres",
		"install Docker", "apt-get install postgresql", "brew install postgresql@17", "set GAPLESS_TEST_DSN=",
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestStartFirstGivesUpWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log []string
	_, err := startFirst(ctx, []source{
		fakeSource(&log, "a", context.Canceled), fakeSource(&log, "b", nil),
	}, request{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"a"}, log)
}

func TestServerArgs(t *testing.T) {
	t.Parallel()
	fast := strings.Join(request{}.serverArgs(), " ")
	require.Equal(t, "-c fsync=off -c full_page_writes=off -c max_connections=300 -c max_prepared_transactions=100 -c shared_buffers=256MB "+
		"-c synchronous_commit=off", fast)

	durable := strings.Join(request{opts: Options{
		Durable:  true,
		Settings: map[string]string{"shared_buffers": "1GB", "wal_level": "logical"},
	}}.serverArgs(), " ")
	require.Equal(t, "-c max_connections=300 -c max_prepared_transactions=100 -c shared_buffers=1GB -c wal_level=logical", durable)
}

func TestDSNNamesTheDatabase(t *testing.T) {
	t.Parallel()
	server := &Server{base: localURL("127.0.0.1:5999", "p@ss")}
	require.Equal(t, "postgres://postgres:p%40ss@127.0.0.1:5999/postgres?sslmode=disable", server.DSN(""))
	require.Equal(t, "postgres://postgres:p%40ss@127.0.0.1:5999/orders?sslmode=disable", server.DSN("orders"))
}

func TestStopRunsOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	server := &Server{stop: func() error { calls++; return errors.New("broken") }}
	require.EqualError(t, server.Stop(), "broken")
	require.EqualError(t, server.Stop(), "broken")
	require.Equal(t, 1, calls)
	require.NoError(t, (&Server{}).Stop())
}

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"postgres://u:p@h:1/d", "postgresql://h/d"} {
		u, err := parseDSN(good)
		require.NoError(t, err)
		require.Equal(t, "/d", u.Path)
	}
	u, err := parseDSN("postgres://h")
	require.NoError(t, err)
	require.Equal(t, "/postgres", u.Path)

	for _, bad := range []string{"host=h dbname=d password=secret", "mysql://h/d", "postgres://h:secret port/"} {
		_, err := parseDSN(bad)
		require.ErrorIs(t, err, ErrDSNForm)
		require.NotContains(t, err.Error(), "secret")
	}
}
