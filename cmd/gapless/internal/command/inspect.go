package command

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/inspect"
	"github.com/gaplesspg/gapless/eventstream"
)

// envToken is where the inspector's token is read from.
const envToken = "GAPLESS_INSPECT_TOKEN"

// inspectFlags say what the inspector shows, and to whom.
type inspectFlags struct {
	listen, tokenFile, tenant, stateSQL, replay string
	hosts                                       []string
	writes                                      bool
	timeout                                     time.Duration
}

func (a *app) inspectCommand() *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use: "inspect", Short: "Serve pages that show the store in a browser", Args: noArgs,
		Long: `Serves pages that show the store: the log as it grows, streams and their state at any version, what is written and where to, subscriptions, and
whether all is well. It reads in read-only transactions, which a time limit ends, and changes nothing unless --allow-writes lets parked events be skipped
and replayed.

It listens on a loopback address. Any other one needs a token, in a file of --token-file or in GAPLESS_INSPECT_TOKEN: a browser is asked for it, a
program sends it as Authorization: Bearer. There is no TLS: put a proxy in front of it, and name it with --host. docs/inspector.md has pictures.`,
		Example: `  gapless inspect
  gapless inspect --tenant acme --listen 127.0.0.1:9000
  GAPLESS_INSPECT_TOKEN=$(cat token) gapless inspect --listen 0.0.0.0:8787 --host inspect.example --allow-writes --replay-exec ./send-mail`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.inspect(cmd.Context(), flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8787", "address to listen on; port 0 takes a free one")
	f.StringVar(&flags.tokenFile, "token-file", "", "file with the token (default: "+envToken+")")
	f.StringSliceVar(&flags.hosts, "host", nil, "name by which the server is reached, besides localhost and addresses; may be repeated")
	f.StringVar(&flags.tenant, "tenant", "", "show the events of this tenant alone")
	f.StringVar(&flags.stateSQL, "state-sql", "", "query that gives a stream's state as one row of JSON: $1 is the stream, $2 the version")
	f.BoolVar(&flags.writes, "allow-writes", false, "let parked events be skipped, and with --replay-exec replayed")
	f.StringVar(&flags.replay, "replay-exec", "", "program that handles a parked event, as that of gapless subscriptions replay")
	f.DurationVar(&flags.timeout, "timeout", 2*time.Second, "how long a statement of a page may take")
	return cmd
}

func (a *app) inspect(ctx context.Context, flags inspectFlags) error {
	token, err := flags.token()
	if err != nil {
		return err
	}
	if flags.timeout < 10*time.Millisecond {
		return usagef("--timeout %s: must be 10ms or more", flags.timeout)
	}
	if flags.replay != "" && !flags.writes {
		return usagef("--replay-exec needs --allow-writes")
	}
	if flags.replay != "" {
		if flags.replay, err = exec.LookPath(flags.replay); err != nil {
			return usageError{err}
		}
	}
	if flags.tenant != "" {
		if _, err := eventstream.NewTenantID(flags.tenant); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
		// Whether it is a store, and may be read: else the first page would only show why not.
		if _, err := pool.Exec(ctx, `SELECT eventstream.stable_position() FROM (SELECT FROM eventstream.events LIMIT 1) AS e`); err != nil {
			return err
		}
		server, err := inspect.New(inspect.Config{
			Pool: pool, Token: token, Hosts: flags.hosts, Tenant: eventstream.TenantID(flags.tenant), AllowWrites: flags.writes,
			Replay: a.replayer(flags.replay, pool, repo), StateSQL: flags.stateSQL, Timeout: flags.timeout, Log: a.stderr,
		})
		if err != nil {
			return usageError{err}
		}
		defer server.Close()
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", flags.listen)
		if err != nil {
			return usagef("--listen: %w", err)
		}
		if err := a.printListening(listener.Addr().String()); err != nil {
			return errors.Join(err, listener.Close())
		}
		return server.Serve(ctx, listener)
	})
}

// replayer gives what is parked to a program, as gapless subscriptions replay does; nil without one.
func (a *app) replayer(program string, pool *pgxpool.Pool, repo *eventstream.Repository) func(context.Context, string) (int, error) {
	if program == "" {
		return nil
	}
	return func(ctx context.Context, name string) (int, error) {
		return a.replayParked(ctx, pool, repo, name, program, nil)
	}
}

// token reads the token, and refuses to serve others than this machine without one.
func (f *inspectFlags) token() (string, error) {
	token := os.Getenv(envToken)
	if f.tokenFile != "" {
		content, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return "", usageError{err}
		}
		token = strings.TrimSpace(string(content))
	}
	if token != "" && len(token) < inspect.MinToken {
		return "", usagef("the token has %d bytes, and must have %d or more: openssl rand -hex 16 makes one", len(token), inspect.MinToken)
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return "", usagef("--listen %q: must be an address and a port, as 127.0.0.1:8787", f.listen)
	}
	if token == "" && !isLoopback(host) {
		return "", usagef("--listen %s can be reached from other machines: give a token, in a file with --token-file or in %s", f.listen, envToken)
	}
	return token, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// listening is where the pages are, as --json has it.
type listening struct {
	URL string `json:"url"`
}

func (a *app) printListening(address string) error {
	row := listening{"http://" + address + "/"}
	if a.out.JSON {
		return a.out.Record(row)
	}
	return a.out.Say("the inspector is at %s; Ctrl-C ends it", row.URL)
}
