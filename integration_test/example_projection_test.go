package integration_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// docs:start
// stock keeps how many of each article there are. An event adds its quantity times a factor: the first version of this code forgot
// that boxes hold a dozen.
func stock(repo *eventstream.Repository, perBox int) (*subscription.Projector, error) {
	return subscription.NewProjector(repo, subscription.Projection{
		Name: "stock", // of the subscription, and of the schema that Setup fills
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, `CREATE TABLE `+schema+`.articles (article text PRIMARY KEY, quantity bigint NOT NULL)`)
			return err
		},
		Apply: func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
			for _, event := range events {
				_, err := tx.Exec(ctx, `
					INSERT INTO `+schema+`.articles AS a VALUES ($1, ($2::jsonb ->> 'boxes')::bigint * $3)
					ON CONFLICT (article) DO UPDATE SET quantity = a.quantity + excluded.quantity`,
					event.StreamID, event.Payload, perBox)
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// docs:end

func showStock(ctx context.Context, pool *pgxpool.Pool, when string) error {
	var quantity int64
	err := pool.QueryRow(ctx, `SELECT quantity FROM stock.articles WHERE article = 'article-1'`).Scan(&quantity)
	fmt.Printf("%s: %d\n", when, quantity)
	return err
}

// A projection was wrong. The mended one is built beside it, from the first event on, and takes its place in one transaction: whoever
// reads stock.articles finds a complete table at any time.
func rebuildBeside(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	wrong, err := stock(repo, 1)
	if err != nil {
		return err
	}
	stop := runInBackground(ctx, wrong)
	var last eventstream.AppendResult
	for range 3 {
		if last, err = exampleAppend(ctx, repo, "article-1", "article.received", map[string]int{"boxes": 2}); err != nil {
			return errors.Join(err, stop())
		}
	}
	if err := errors.Join(wrong.WaitFor(ctx, last.LastPosition), stop()); err != nil {
		return err
	}
	if err := showStock(ctx, pool, "before"); err != nil {
		return err
	}

	mended, err := stock(repo, 12)
	if err != nil {
		return err
	}
	if err := mended.Rebuild(ctx, nil); err != nil {
		return err
	}
	if err := showStock(ctx, pool, "rebuilt"); err != nil {
		return err
	}
	stop = runInBackground(ctx, mended)
	if last, err = exampleAppend(ctx, repo, "article-1", "article.received", map[string]int{"boxes": 1}); err != nil {
		return errors.Join(err, stop())
	}
	if err := errors.Join(mended.WaitFor(ctx, last.LastPosition), stop()); err != nil {
		return err
	}
	return showStock(ctx, pool, "and on")
}

func Example_rebuild() {
	runExample(rebuildBeside)
	// Output:
	// before: 6
	// rebuilt: 72
	// and on: 84
}

// docs:start
// reserveNames is an inline projection: it runs in the transaction of the append. A name that is taken refuses the append itself, which
// no projection that runs later could do.
func reserveNames(ctx context.Context, tx pgx.Tx, events []eventstream.Event) error {
	for _, event := range events {
		_, err := tx.Exec(ctx, `INSERT INTO public.user_names (name, user_id) VALUES ($1::jsonb ->> 'name', $2)`,
			event.Payload, event.StreamID)
		if err != nil {
			return err
		}
	}
	return nil
}

// docs:end

// Names of users are unique across all streams, since a table that is written with the events says so.
func uniqueNames(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, &eventstream.Config{Inline: []eventstream.InlineProjection{reserveNames}})
	if err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE public.user_names (name text PRIMARY KEY, user_id text NOT NULL)`); err != nil {
		return err
	}
	for _, id := range []eventstream.StreamID{"user-1", "user-2"} {
		_, err := exampleAppend(ctx, repo, id, "user.registered", map[string]string{"name": "alex"})
		fmt.Println(id, "is alex:", err == nil)
	}
	_, err = repo.Stream(ctx, "user-2")
	fmt.Println("user-2 was never there:", errors.Is(err, eventstream.ErrStreamNotFound))
	return nil
}

func Example_inline() {
	runExample(uniqueNames)
	// Output:
	// user-1 is alex: true
	// user-2 is alex: false
	// user-2 was never there: true
}
