package command

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/eventstream/seal"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// sealFlags say how a store is sealed.
type sealFlags struct {
	every  time.Duration
	events int
	key    string
}

func (a *app) sealCommand() *cobra.Command {
	var flags sealFlags
	cmd := &cobra.Command{
		Use: "seal", Short: "Seal what has no seal yet, and print the seal that is kept elsewhere", Args: noArgs,
		Long: `Seals the events that have no seal yet, and prints the newest seal, a line of text. Kept where nobody can reach it who can reach the
database, the line proves later that all history up to it is the same: gapless seal verify. If nothing is new, it prints the newest seal that is
there. Writers do not wait.

--every does it again and again, and prints a line each time that there is something new, until Ctrl-C. --key signs each line with an ed25519 key
in PEM, as openssl genpkey -algorithm ed25519 makes it. docs/seals.md says what is sealed.`,
		Example: `  gapless seal >>/mnt/elsewhere/seals
  gapless seal --every 10m --key seal.key >>/mnt/elsewhere/seals
  gapless seal verify /mnt/elsewhere/seals`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.seal(cmd, &flags) },
	}
	cmd.Flags().DurationVar(&flags.every, "every", 0, "seal again and again, with so long a pause")
	cmd.Flags().IntVar(&flags.events, "events", seal.DefaultEvents, "how many events a block has at most")
	cmd.Flags().StringVar(&flags.key, "key", "", "file with an ed25519 private key in PEM, which signs the line")
	cmd.AddCommand(a.sealVerifyCommand())
	return cmd
}

func (a *app) seal(cmd *cobra.Command, flags *sealFlags) error {
	if cmd.Flags().Changed("every") && flags.every < time.Second {
		return usagef("--every %s: must be 1s or more", flags.every)
	}
	if flags.events < 1 || flags.events > seal.MaxEvents {
		return usagef("--events %d: must be 1 to %d", flags.events, seal.MaxEvents)
	}
	var key ed25519.PrivateKey
	if flags.key != "" {
		var err error
		if key, err = privateKey(flags.key); err != nil {
			return err
		}
	}
	return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
		s := &sealer{app: a, pool: pool, key: key, events: flags.events}
		if flags.every == 0 {
			return s.once(cmd.Context())
		}
		return s.again(cmd.Context(), flags.every)
	})
}

// sealer is one run of the command.
type sealer struct {
	*app
	pool   *pgxpool.Pool
	key    ed25519.PrivateKey
	events int
}

// sealed is a seal as --json has it.
type sealed struct {
	Seal   string `json:"seal"`
	Block  int64  `json:"block"`
	To     int64  `json:"to_position"`
	Events int64  `json:"events"`
	New    bool   `json:"new"`
}

// print prints a seal: the line alone, since it goes into files.
func (s *sealer) print(kept seal.Kept, isNew bool) error {
	if s.key != nil {
		kept = kept.Sign(s.key)
	}
	if s.out.JSON {
		return s.out.Record(sealed{kept.String(), kept.Block, kept.To, kept.LastSequence, isNew})
	}
	return s.out.Say("%s", kept.String())
}

// all seals block after block until nothing is left, and gives the newest. Each is committed by itself, and an interrupt does not cut the
// commit off: what is sealed is printed.
func (s *sealer) all(ctx context.Context) (newest seal.Kept, isNew bool, err error) {
	for {
		var kept seal.Kept
		var more bool
		err := outlast.Tx(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
			kept, more, err = seal.Next(ctx, tx, s.events)
			return err
		})
		if err != nil || !more {
			return newest, isNew, err
		}
		newest, isNew = kept, true
	}
}

func (s *sealer) once(ctx context.Context) error {
	kept, isNew, err := s.all(ctx)
	if err == nil && !isNew {
		kept, err = seal.Newest(ctx, s.pool)
	}
	if err != nil {
		return sealError(err)
	}
	return s.print(kept, isNew)
}

// again seals until it is interrupted, which is how it ends. A server that is away for a while is none of its concern.
func (s *sealer) again(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		kept, isNew, err := s.all(ctx)
		if isNew {
			// Also beside an error: what is sealed and not printed would be printed by nobody.
			if err := s.print(kept, true); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !isAway(err)):
			return sealError(err)
		case err != nil:
			fmt.Fprintf(s.stderr, "%s; it is tried again in %s\n", oneLine(err.Error()), every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// privateKey reads a key as openssl writes it.
func privateKey(name string) (ed25519.PrivateKey, error) {
	block, err := readPEM(name)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block)
	if key, ok := parsed.(ed25519.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, usagef("%s holds no ed25519 private key: make one with openssl genpkey -algorithm ed25519 -out %s", name, name)
}

func readPEM(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{err}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, usagef("%s is no key in PEM: make one with openssl genpkey -algorithm ed25519", name)
	}
	return block.Bytes, nil
}
