package integration_test

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

// docs:start
// sealAndKeep closes the next block and gives the line that goes elsewhere: to a log of another machine, a mail, a printer.
func sealAndKeep(ctx context.Context, pool *pgxpool.Pool, key ed25519.PrivateKey) (string, error) {
	kept, sealed, err := seal.Next(ctx, pool, seal.DefaultEvents)
	if err != nil || !sealed {
		return "", err
	}
	return kept.Sign(key).String(), nil
}

// isHistoryTheSame looks whether all history up to a line that was kept is as it was then.
func isHistoryTheSame(ctx context.Context, pool *pgxpool.Pool, line string, key ed25519.PublicKey) ([]seal.Fault, error) {
	kept, err := seal.ParseKept(line)
	if err != nil {
		return nil, err
	}
	if err := kept.VerifySignature(key); err != nil {
		return nil, err
	}
	return seal.Verify(ctx, pool, &seal.Options{Kept: &kept})
}

// docs:end

// Two events are sealed, one is proven to somebody without the database, and then somebody changes history.
func sealKeepVerifyProve(ctx context.Context, pool *pgxpool.Pool) error {
	repo, err := exampleRepository(ctx, pool, nil)
	if err != nil {
		return err
	}
	for _, id := range []eventstream.StreamID{"order-1", "order-2"} {
		if _, err := exampleAppend(ctx, repo, id, "order.placed", map[string]any{"total": 42}); err != nil {
			return err
		}
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	line, err := sealAndKeep(ctx, pool, private)
	if err != nil {
		return err
	}
	faults, err := isHistoryTheSame(ctx, pool, line, public)
	if err != nil {
		return err
	}
	fmt.Println("faults:", faults)
	kept, err := seal.ParseKept(line)
	if err != nil {
		return err
	}
	proof, err := seal.Prove(ctx, pool, "order-2", 1, kept)
	if err != nil {
		return err
	}
	fmt.Println("proven:", proof.Verify(kept) == nil, proof.Event.Holds([]byte(`{"total": 42}`), nil, []byte(`{}`)))
	if _, err := pool.Exec(ctx, `BEGIN; SET LOCAL session_replication_role = replica;
		UPDATE eventstream.events SET payload = '{"total": 41}' WHERE stream_id = 'order-2'; COMMIT`); err != nil {
		return err
	}
	if faults, err = isHistoryTheSame(ctx, pool, line, public); err != nil {
		return err
	}
	fmt.Println("faults:", faults)
	return nil
}

func Example_seal() {
	runExample(sealKeepVerifyProve)
	// Output:
	// faults: []
	// proven: true true
	// faults: [block 1: event changed: position 2, version 1 of stream "order-2"]
}
