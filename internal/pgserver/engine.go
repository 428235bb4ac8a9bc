package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

const (
	// engineTimeout bounds the question whether there is a container engine at all. Where none runs the answer comes at
	// once; the time is for an engine on a busy machine.
	engineTimeout = 10 * time.Second

	// pullSilence is how long a pull may say nothing before we believe that no registry can be reached: a firewall
	// that drops packets would otherwise hold a test run for minutes.
	pullSilence = 15 * time.Second
)

// Errors of the container way.
var (
	// ErrNoEngine is returned when no container engine answers.
	ErrNoEngine = errors.New("no Docker engine answers; start Docker, or set DOCKER_HOST if it listens elsewhere")

	// ErrPullSilent is returned when a registry gives no answer.
	ErrPullSilent = fmt.Errorf("the registry gave no answer for %s", pullSilence)
)

// engine is the container engine that Testcontainers found.
type engine struct {
	client *testcontainers.DockerClient
}

// setUpTestcontainers changes what is global in Testcontainers, before its first use.
var setUpTestcontainers = sync.OnceFunc(func() {
	// The reaper is a container that removes others when a test process dies. Its image needs a registry, so a watchdog
	// does that work here (see watchdog.go). Testcontainers reads the variable once.
	if _, set := os.LookupEnv("TESTCONTAINERS_RYUK_DISABLED"); !set {
		_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	}
	// A dozen lines for each container say nothing that Origin and the errors do not.
	log.SetDefault(log.NewNoopLogger())
})

// findEngine asks Testcontainers for its engine and whether it is alive. The caller closes it.
func findEngine(ctx context.Context) (_ *engine, err error) {
	setUpTestcontainers()
	// Testcontainers panics for some broken configurations.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (%v)", ErrNoEngine, p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()

	cli, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoEngine, err)
	}
	if _, err := cli.Ping(ctx, client.PingOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (%w)", ErrNoEngine, err), cli.Close())
	}
	return &engine{client: cli}, nil
}

// has says whether the image is present.
func (e *engine) has(ctx context.Context, image string) bool {
	_, err := e.client.ImageInspect(ctx, image)
	return err == nil
}

// memory is how much the engine's machine has, in bytes; 0 where it does not say.
func (e *engine) memory(ctx context.Context) int64 {
	result, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return 0
	}
	return result.Info.MemTotal
}

// pull fetches an image from its registry, and gives up early when the registry does not answer.
func (e *engine) pull(ctx context.Context, image string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(pullSilence, func() { cancel(ErrPullSilent) })
	defer silence.Stop()

	err := e.pullMessages(ctx, image, func() { silence.Reset(pullSilence) })
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("pulling %s: %w", image, err)
	}
	return nil
}

// pullMessages runs a pull and calls alive for every sign of progress.
func (e *engine) pullMessages(ctx context.Context, image string, alive func()) error {
	response, err := e.client.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer response.Close()
	for message, err := range response.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
		alive()
	}
	return nil
}
