package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	// Labels by which a later run recognises the container of a process that died.
	labelOwner = "gapless.pgserver.owner"
	labelHost  = "gapless.pgserver.host"

	// readyTimeout bounds the start of a server, by any way, once it is installed.
	// It is long because a busy machine takes most of a minute; a server that ends is noticed at once.
	readyTimeout = 2 * time.Minute

	postgresPort = "5432/tcp"

	// sharedMemory is for parallel queries; the engine's default of 64 MB fails large ones.
	sharedMemory = 256 << 20
)

// ErrUnreachable is returned when a container runs but none of its addresses can be reached from here.
var ErrUnreachable = errors.New("the container runs but its published port cannot be reached; " +
	"set TESTCONTAINERS_HOST_OVERRIDE to the address at which the engine publishes ports")

// startContainer runs PostgreSQL by Testcontainers' postgres module.
func startContainer(ctx context.Context, req request) (*Server, error) {
	eng, err := findEngine(ctx)
	if err != nil {
		return nil, err
	}
	defer eng.client.Close()
	eng.removeLeftovers(ctx)

	image, err := chooseImage(ctx, eng, req)
	if err != nil {
		return nil, err
	}
	req.logf("starting a container of %s", image)
	password := rand.Text()
	ctr, err := runContainer(ctx, image, password, req)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a container of %s: %w", image, err), terminate(ctr))
	}
	server, err := containerServer(ctx, ctr, image, password)
	if err != nil {
		return nil, errors.Join(err, terminate(ctr))
	}
	// Without a watchdog (no docker program on PATH) a killed run leaves its container to removeLeftovers.
	dog, err := startWatchdog(removeContainerScript, eng.client.DaemonHost(), ctr.GetContainerID())
	if err != nil {
		req.logf("a killed run would leave its container until the next run: %v", err)
	}
	server.stop = func() error {
		err := terminate(ctr)
		dog.dismiss()
		return err
	}
	return server, nil
}

func runContainer(
	ctx context.Context, image, password string, req request,
) (*postgres.PostgresContainer, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return postgres.Run(ctx, image,
		postgres.WithPassword(password),
		// Both kinds of image pass this on. Nobody needs this cluster after a power cut, and syncing takes seconds.
		testcontainers.WithEnv(map[string]string{"POSTGRES_INITDB_ARGS": "--no-sync"}),
		testcontainers.WithCmd(append([]string{"postgres"}, req.serverArgs()...)...),
		testcontainers.WithLabels(map[string]string{labelOwner: strconv.Itoa(os.Getpid()), labelHost: host}),
		testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) { hc.ShmSize = sharedMemory }),
		// The log only, as in the module's BasicWaitStrategies: which address is reachable is found out afterwards.
		testcontainers.WithWaitStrategyAndDeadline(readyTimeout,
			wait.ForLog("database system is ready to accept connections").WithOccurrence(2)),
	)
}

// containerServer finds the address at which the container answers, and connects once.
func containerServer(
	ctx context.Context, ctr *postgres.PostgresContainer, image, password string,
) (*Server, error) {
	addresses, err := containerAddresses(ctx, ctr)
	if err != nil {
		return nil, err
	}
	var reasons []error
	for _, address := range addresses {
		base := localURL(address, password)
		info, err := tryAddress(ctx, base)
		if err == nil {
			return &Server{Origin: containerOrigin(image, info.version), base: base}, nil
		}
		reasons = append(reasons, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(reasons...))
}

// tryAddress connects within seconds: an address that is not routed may swallow packets.
func tryAddress(ctx context.Context, base *url.URL) (serverInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return inspect(ctx, base.String())
}

// containerAddresses gives Testcontainers' answer first, which honours its HOST_OVERRIDE. Where the tests run in a
// container themselves that answer is the bridge's gateway, which a firewall may forbid; then the loopback address works
// if the network is shared with the engine, and the container's own address if its bridge is.
func containerAddresses(ctx context.Context, ctr *postgres.PostgresContainer) ([]string, error) {
	host, err := ctr.Host(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the container's host: %w", err)
	}
	port, err := ctr.MappedPort(ctx, postgresPort)
	if err != nil {
		return nil, fmt.Errorf("asking for the container's port: %w", err)
	}
	published := strconv.Itoa(int(port.Num()))
	addresses := []string{net.JoinHostPort(host, published)}
	if host != "localhost" && host != "127.0.0.1" {
		addresses = append(addresses, net.JoinHostPort("127.0.0.1", published))
	}
	if ip, err := ctr.ContainerIP(ctx); err == nil && ip != "" {
		addresses = append(addresses, net.JoinHostPort(ip, "5432"))
	}
	return addresses, nil
}

func containerOrigin(image, version string) string {
	if strings.HasPrefix(image, builtPrefix) {
		return fmt.Sprintf("container %s (built from Debian packages, PostgreSQL %s)", image, version)
	}
	return fmt.Sprintf("container %s (PostgreSQL %s)", image, version)
}

// terminate removes a container and its volumes; nil is allowed.
func terminate(ctr *postgres.PostgresContainer) error {
	if ctr == nil || ctr.Container == nil {
		return nil
	}
	return testcontainers.TerminateContainer(ctr)
}
