package command

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

func (a *app) sealVerifyCommand() *cobra.Command {
	var publicKeyFile string
	cmd := &cobra.Command{
		Use: "verify [FILE|-]", Short: "Let the database and Go verify that history is as it was sealed", Args: needs(0, 1),
		Long: `Verifies that all sealed history is as it was, twice: by eventstream.verify_seals() in the database, and by code in this program that reads the
events and shares nothing with it. Prints the blocks that are not as they were, and which of the two says so.

FILE holds lines of gapless seal, as they were kept elsewhere; the last one counts, and proves that the end of history is the same too. Without
one, whoever has the database could have written the end anew. --key names the public key, or the private one, that must have signed that line.

The exit code is 1 if something is not as it was.`,
		Example: `  gapless seal verify
  gapless seal verify /mnt/elsewhere/seals --key seal.pub
  tail -n 1 seals | gapless seal verify -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := a.keptSeal(cmd.Context(), args, publicKeyFile)
			if err != nil {
				return err
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error { return a.verifySeals(cmd.Context(), pool, kept) })
		},
	}
	cmd.Flags().StringVar(&publicKeyFile, "key", "", "file with the ed25519 public or private key in PEM that must have signed the line")
	return cmd
}

// keptSeal reads the last seal of a file; nil without one.
func (a *app) keptSeal(ctx context.Context, args []string, keyFile string) (*seal.Kept, error) {
	if len(args) == 0 {
		if keyFile != "" {
			return nil, usagef("--key says who signed the seal of a file: name the file")
		}
		return nil, nil
	}
	file, _, err := a.open(ctx, args[0])
	if err != nil {
		return nil, err
	}
	defer file.Close()
	line, err := lastLine(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	kept, err := seal.ParseKept(line)
	if err != nil {
		return nil, usagef("%s: the last line is no seal: %w", args[0], err)
	}
	if keyFile == "" {
		return &kept, nil
	}
	key, err := publicKey(keyFile)
	if err != nil {
		return nil, err
	}
	if err := kept.VerifySignature(key); err != nil {
		return nil, fmt.Errorf("%s: %w: it is not the line that was kept, or the key is another one", args[0], err)
	}
	return &kept, nil
}

// maxSealLine is more than a line of gapless seal takes, with --json too.
const maxSealLine = 4096

// lastLine gives the last line with text: a seal, or an object of --json with one in it.
func lastLine(r io.Reader) (line string, err error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, maxSealLine), maxSealLine)
	for scanner.Scan() {
		if text := strings.TrimSpace(scanner.Text()); text != "" {
			line = text
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return "", usagef("a line is longer than a seal")
	}
	if line == "" && scanner.Err() == nil {
		return "", usagef("it holds no seal")
	}
	return fromJSON(line), scanner.Err()
}

// fromJSON takes the seal out of a line of gapless seal --json.
func fromJSON(line string) string {
	if after, found := strings.CutPrefix(line, `{"seal":"`); found {
		line, _, _ = strings.Cut(after, `"`)
	}
	return line
}

// publicKey reads a public key, or takes that of a private one.
func publicKey(name string) (ed25519.PublicKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{err}
	}
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		key, err := privateKey(name)
		if err != nil {
			return nil, err
		}
		return key.Public().(ed25519.PublicKey), nil
	}
	block, err := readPEM(name)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(block)
	if key, ok := parsed.(ed25519.PublicKey); err == nil && ok {
		return key, nil
	}
	return nil, usagef("%s holds no ed25519 public key: make one with openssl pkey -in seal.key -pubout", name)
}

// sealFault is a fault as --json has it.
type sealFault struct {
	Block    int64                `json:"block"`
	Position int64                `json:"position,omitzero"`
	StreamID eventstream.StreamID `json:"stream_id,omitzero"`
	Version  int64                `json:"version,omitzero"`
	Fault    string               `json:"fault"`
	// By is who found it: SQL, Go, or both.
	By string `json:"by"`
}

// place is a fault without who found it.
func (f sealFault) place() sealFault {
	f.By = ""
	return f
}

func (a *app) verifySeals(ctx context.Context, pool *pgxpool.Pool, kept *seal.Kept) error {
	faults, err := faultsBySQL(ctx, pool, kept)
	if err != nil {
		return err
	}
	byGo, err := seal.Verify(ctx, pool, &seal.Options{Kept: kept})
	if err != nil {
		return err
	}
	faults = mergeFaults(faults, byGo)
	if len(faults) == 0 {
		return a.sayVerified(ctx, pool, kept)
	}
	list := a.out.List("#BLOCK", "#POSITION", "STREAM", "#VERSION", "FAULT", "BY")
	for _, f := range faults {
		if err := list.Add(f, output.Int(f.Block), number(f.Position), string(f.StreamID), number(f.Version), f.Fault, f.By); err != nil {
			return err
		}
	}
	if err := list.Flush(); err != nil {
		return err
	}
	return errFindings
}

// number prints nothing for what is not known.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return output.Int(n)
}

// sayVerified says up to where history was verified, and by what.
func (a *app) sayVerified(ctx context.Context, pool *pgxpool.Pool, kept *seal.Kept) error {
	newest, err := seal.Newest(ctx, pool)
	if err != nil {
		return sealError(err)
	}
	if a.out.JSON {
		return nil
	}
	proof := "no kept seal was given, so the end is believed"
	if kept != nil {
		proof = "the kept seal proves it up to position " + output.Int(kept.To)
	}
	return a.out.Say("as it was sealed up to position %d: %s in %s; %s", newest.To, counted(newest.LastSequence, "event"),
		counted(newest.Block, "block"), proof)
}

func faultsBySQL(ctx context.Context, pool *pgxpool.Pool, kept *seal.Kept) ([]sealFault, error) {
	var line *string
	if kept != nil {
		text := kept.String()
		line = &text
	}
	rows, err := pool.Query(ctx, `
		SELECT coalesce(block, 0), coalesce(event_position, 0), coalesce(stream_id, ''), coalesce(version, 0), fault
		FROM eventstream.verify_seals(p_kept => $1::text)`, line)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f sealFault, err error) {
		err = row.Scan(&f.Block, &f.Position, (*string)(&f.StreamID), &f.Version, &f.Fault)
		f.By = "SQL"
		return f, err
	})
}

// mergeFaults says of a fault that both found that they did. One that a single one finds is a reason to look at the verifier too.
func mergeFaults(bySQL []sealFault, byGo []seal.Fault) []sealFault {
	at := map[sealFault]int{}
	for i, f := range bySQL {
		at[f.place()] = i
	}
	for _, g := range byGo {
		f := sealFault{g.Block, g.Position, g.StreamID, g.Version, string(g.Reason), ""}
		if i, both := at[f]; both {
			bySQL[i].By = "SQL and Go"
			continue
		}
		f.By = "Go"
		bySQL = append(bySQL, f)
	}
	return bySQL
}

// sealError says what to do where there is no seal.
func sealError(err error) error {
	if errors.Is(err, seal.ErrNoSeal) {
		return fmt.Errorf("there is no seal: append events, and run gapless seal")
	}
	return err
}
