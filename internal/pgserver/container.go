package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
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

	// memoryDir is a file system in memory, in which a server that need not be durable has its data where the engine's machine has
	// enoughMemory: a database is made and dropped in a quarter of the time. It grows with what is in it, up to half of the memory.
	memoryDir    = "/gapless"
	enoughMemory = 16e9
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
	h := &containerHost{image: image, password: rand.Text(), req: req, inMemory: !req.opts.Durable && eng.memory(ctx) >= enoughMemory}
	return eng.serve(ctx, h, containerPlan{
		command: append([]string{"postgres"}, req.serverArgs()...),
		// Both kinds of image pass this on. Nobody needs this cluster after a power cut, and syncing takes seconds.
		env: map[string]string{"POSTGRES_INITDB_ARGS": "--no-sync"},
		// The log only, as in the module's BasicWaitStrategies: which address is reachable is found out afterwards.
		ready: wait.ForLog("database system is ready to accept connections").WithOccurrence(2),
	})
}

// containerHost is a container that a server runs in.
type containerHost struct {
	ctr             *postgres.PostgresContainer
	image, password string
	inMemory        bool
	req             request
}

// containerPlan is in what the containers of a primary and of a replica differ.
type containerPlan struct {
	command []string
	env     map[string]string
	ready   wait.Strategy
}

// serve runs the container and finds the server in it.
func (e *engine) serve(ctx context.Context, h *containerHost, plan containerPlan) (*Server, error) {
	h.req.logf("starting a container of %s", h.image)
	err := h.run(ctx, plan)
	if err != nil {
		err = fmt.Errorf("starting a container of %s: %w\n%s", h.image, err, h.logTail())
		return nil, errors.Join(err, terminate(h.ctr))
	}
	server, err := h.server(ctx)
	if err != nil {
		return nil, errors.Join(err, terminate(h.ctr))
	}
	// Without a watchdog (no docker program on PATH) a killed run leaves its container to removeLeftovers.
	dog, err := startWatchdog(removeContainerScript, e.client.DaemonHost(), h.ctr.GetContainerID())
	if err != nil {
		h.req.logf("a killed run would leave its container until the next run: %v", err)
	}
	server.stop = func() error {
		err := terminate(h.ctr)
		dog.dismiss()
		return err
	}
	return server, nil
}

// run starts the container and waits for the server in it. After an error too there may be a container to remove.
func (h *containerHost) run(ctx context.Context, plan containerPlan) error {
	machine, err := os.Hostname()
	if err != nil {
		return err
	}
	env := maps.Clone(plan.env)
	tmpfs := map[string]string{}
	if h.inMemory {
		env["PGDATA"], tmpfs[memoryDir] = memoryDir+"/data", "rw,exec"
	}
	h.ctr, err = postgres.Run(ctx, h.image,
		postgres.WithPassword(h.password),
		testcontainers.WithEnv(env),
		testcontainers.WithCmd(plan.command...),
		testcontainers.WithLabels(map[string]string{labelOwner: strconv.Itoa(os.Getpid()), labelHost: machine}),
		testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) { hc.ShmSize, hc.Tmpfs = sharedMemory, tmpfs }),
		testcontainers.WithWaitStrategyAndDeadline(readyTimeout, plan.ready),
	)
	return err
}

// server finds the address at which the container answers, and connects once.
func (h *containerHost) server(ctx context.Context) (*Server, error) {
	addresses, err := containerAddresses(ctx, h.ctr, h.req.ownAddress)
	if err != nil {
		return nil, err
	}
	var reasons []error
	for _, address := range addresses {
		base := localURL(address, h.password)
		info, err := tryAddress(ctx, base)
		if err == nil {
			return &Server{Origin: containerOrigin(h.image, info.version), base: base, host: h}, nil
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
//
// The container's own address comes first if it is wanted and can be had: a published port is served by a program that copies every byte,
// which takes a sixth of the processor's time.
func containerAddresses(ctx context.Context, ctr *postgres.PostgresContainer, own bool) ([]string, error) {
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
		if own && runtime.GOOS == "linux" { // elsewhere the engine runs in a virtual machine
			slices.Reverse(addresses)
		}
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
