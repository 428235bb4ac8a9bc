package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// deliveryAcknowledged is the delivery of subscriptions whose effects are elsewhere than in the store's database.
const deliveryAcknowledged = "acknowledged"

func (a *app) replayCommand() *cobra.Command {
	var program string
	cmd := &cobra.Command{
		Use: "replay NAME --exec PROGRAM [-- ARGUMENT ...]", Short: "Give parked events to a program that handles them", Args: needs(1, 100),
		Long: `Gives what a subscription has parked to a program, event by event and in order within each stream: as a line of JSON on standard input, as
gapless log --json prints it. Exit code 0 says that the event is handled, and it is no longer parked; with any other it stays, with
the later ones of its stream, and other streams go on. An event may come again after a crash: at least once.
An interrupt asks the program, with what it started, to end (SIGTERM), and five seconds later ends it: the event stays parked, and
that is no try. The program has no terminal to ask questions on.

The handler of a subscription is part of a service, which this command cannot call. So it replays subscriptions with delivery "acknowledged" alone; where the
handler writes in the transaction of the checkpoint, and for projections, call ReplayParked in the service.`,
		Example: `  gapless subscriptions replay mailer --exec ./send-mail
  gapless subscriptions replay mailer --exec curl -- -fsS --json @- https://hooks.example/mail`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if program == "" {
				return usagef("--exec is missing: the program that handles an event; or call ReplayParked in the service")
			}
			path, err := exec.LookPath(program)
			if err != nil {
				return usageError{err}
			}
			return a.withStore(cmd.Context(), func(pool *pgxpool.Pool, repo *eventstream.Repository) error {
				return a.replay(cmd.Context(), pool, repo, args[0], path, args[1:])
			})
		},
	}
	cmd.Flags().StringVar(&program, "exec", "", "program that handles an event; required")
	return cmd
}

// replayed is how many parked events were handled, as --json has it.
type replayed struct {
	Handled int `json:"handled"`
}

func (a *app) replay(ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name, program string, args []string) error {
	handled, err := a.replayParked(ctx, pool, repo, name, program, args)
	if handled < 0 {
		return err
	}
	if printed := a.out.Record(replayed{handled}, [2]string{"handled", output.Int(handled)}); printed != nil {
		return printed
	}
	if ctx.Err() != nil && err != nil {
		return stopped("what was not handled stays parked")
	}
	return err
}

// replayParked returns how many events were handled; -1 where none could be.
func (a *app) replayParked(
	ctx context.Context, pool *pgxpool.Pool, repo *eventstream.Repository, name, program string, args []string,
) (int, error) {
	subs, _, err := readSubscriptions(ctx, pool, repo, name)
	if err != nil {
		return -1, err
	}
	if subs[0].Delivery != deliveryAcknowledged {
		return -1, fmt.Errorf("subscription %q has delivery %s, whose handler writes in a transaction of the service: call ReplayParked there", name, subs[0].Delivery)
	}
	handler := subscription.EachEvent(func(ctx context.Context, event eventstream.LogEvent) error {
		return runHandler(ctx, a.stderr, event, program, args)
	})
	sub, err := subscription.New(repo, name, handler, nil)
	if err != nil {
		return -1, err
	}
	return sub.ReplayParked(ctx)
}

// replayGrace is how long a program has to end once it is asked to, and how long what it leaves behind may keep its outputs open.
const replayGrace = 5 * time.Second

// runHandler gives an event to a program. It has a process group of its own: Ctrl-C at a terminal would end it before we know of the
// interrupt ourselves, which looks like an event that it could not handle.
func runHandler(ctx context.Context, stderr io.Writer, event eventstream.LogEvent, program string, args []string) error {
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(append(text, '\n'))
	cmd.Stdout, cmd.Stderr = stderr, &said
	cmd.WaitDelay = replayGrace
	ownGroup(cmd)
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // which has exit code 0
		if said.Len() == 0 {
			return fmt.Errorf("%s: %w", program, err)
		}
		return fmt.Errorf("%s: %w: %s", program, err, oneLine(said.String()))
	}
	return nil
}
