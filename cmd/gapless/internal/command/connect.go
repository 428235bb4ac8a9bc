package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// connectTimeout is how long a server may take to answer, unless the connection string says otherwise.
	connectTimeout = 10 * time.Second
	// poolSize lets the next page of the log be read beside the one in hand, and a build be watched.
	poolSize = 4
	// applicationName is what pg_stat_activity shows.
	applicationName = "gapless"
)

// connect opens the database, and sees that it answers. The caller closes the pool.
func (a *app) connect(ctx context.Context) (*pgxpool.Pool, error) {
	dsn := a.dsn
	if dsn == "" {
		dsn = os.Getenv("DATABASE_URL")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, usagef("%w: give it as postgres://user@host:5432/name", err)
	}
	config.MaxConns, config.MinConns = poolSize, 0
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// withPool does something with the database.
func (a *app) withPool(ctx context.Context, do func(pool *pgxpool.Pool) error) error {
	pool, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(pool)
}

// withStore does something with the store.
func (a *app) withStore(ctx context.Context, do func(pool *pgxpool.Pool, repo *eventstream.Repository) error) error {
	return a.withPool(ctx, func(pool *pgxpool.Pool) error {
		repo, err := eventstream.NewRepository(pool, nil)
		if err != nil {
			return err
		}
		return do(pool, repo)
	})
}

// confirm asks on the terminal, unless --yes answers.
func (a *app) confirm(ctx context.Context, format string, args ...any) error {
	if a.yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !output.IsTerminal(a.in) {
		return usagef("%s: nobody can be asked here: add --yes", question)
	}
	fmt.Fprintf(a.stderr, "%s: continue? [y/N] ", oneLine(question))
	answer, err := bufio.NewReader(a.input(ctx)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(a.stderr) // nobody ended the line of the question
	}
	if ctx.Err() != nil {
		return stopped("nothing was done")
	}
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("not confirmed: nothing was done")
}
