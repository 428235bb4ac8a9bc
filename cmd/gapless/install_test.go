package main

import (
	"debug/elf"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// root is where Dockerfile and compose.yaml are.
const root = "../.."

// runCommand runs a program and gives its output.
func runCommand(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// compose is how this machine runs a composition: docker-compose, or docker compose.
func compose(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}
	}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	leftout.Skip(t, errors.New("docker-compose is not installed: apt-get install docker-compose"))
	return nil
}

// postgresImage is an image of PostgreSQL that the engine has.
func postgresImage(t *testing.T) string {
	t.Helper()
	if exec.CommandContext(t.Context(), "docker", "info").Run() != nil {
		leftout.Skip(t, errors.New("no Docker engine answers"))
	}
	for _, image := range []string{"postgres:17", "gapless-postgres:17-trixie"} {
		if exec.CommandContext(t.Context(), "docker", "image", "inspect", image).Run() == nil {
			return image
		}
	}
	leftout.Skip(t, errors.New("the Docker engine has no image of PostgreSQL"))
	return ""
}

// imageFiles puts what the image is made of where Dockerfile.prebuilt looks for it: as make image-files does.
func imageFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "bin", "image", "gapless")
	// The engine runs Linux, and has this machine's processor.
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH}
	runCommand(t, env, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	file, err := elf.Open(program)
	require.NoError(t, err)
	defer file.Close()
	for _, part := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, part.Type, "the program needs a loader: it is not static")
	}
	return dir
}

// The image holds the program alone, which runs as nobody; and the composition migrates, puts data in and serves it, each service once those
// that it needs are ready, the second time too.
func TestCompositionOfTheImage(t *testing.T) {
	t.Parallel()
	command, postgres := compose(t), postgresImage(t)
	dir, name := imageFiles(t), newName()
	image := strings.ToLower(name)
	runCommand(t, nil, "docker", "build", "-q", "-f", filepath.Join(root, "Dockerfile.prebuilt"), "-t", image, dir)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	require.Equal(t, "65532:65532", strings.TrimSpace(runCommand(t, nil, "docker", "image", "inspect", "--format", "{{.Config.User}}", image)))
	require.Contains(t, runCommand(t, nil, "docker", "run", "--rm", image, "--help"), "gapless migrate up")
	require.Error(t, exec.CommandContext(t.Context(), "docker", "run", "--rm", "--entrypoint", "/bin/sh", image, "-c", "true").Run())

	env := []string{"GAPLESS_POSTGRES_IMAGE=" + postgres, "GAPLESS_IMAGE=" + image, "GAPLESS_PORT=0", "GAPLESS_METRICS_PORT=0"}
	in := append(command, "-p", image, "-f", filepath.Join(root, "compose.yaml"))
	run := func(args ...string) string {
		return runCommand(t, env, in[0], append(in[1:len(in):len(in)], args...)...)
	}
	t.Cleanup(func() {
		cmd := exec.Command(in[0], append(in[1:len(in):len(in)], "down", "-v", "-t", "1")...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	for range 2 { // what is there is left as it is
		run("up", "-d", "--no-build")
		require.Contains(t, run("exec", "-T", "metrics", "/gapless", "metrics", "--once"), "\ngapless_log_position 3000\n")
	}
	page := "http://" + strings.TrimSpace(run("port", "inspect", "8080")) + "/log"
	require.Eventually(t, func() bool { return strings.Contains(fetched(page), "order.placed") }, time.Minute, 100*time.Millisecond)
}

// fetched is what a page of the composition's inspector says; empty while it does not answer.
func fetched(page string) string {
	request, err := http.NewRequest(http.MethodGet, page, http.NoBody)
	if err != nil {
		return ""
	}
	request.Header.Set("Authorization", "Bearer gapless-to-look-at")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// The composition is valid, listens on this machine alone, and starts in order.
func TestCompositionIsValid(t *testing.T) {
	t.Parallel()
	command := compose(t)
	in := append(command, "-f", filepath.Join(root, "compose.yaml"), "config")
	config := runCommand(t, nil, in[0], in[1:]...)
	for _, service := range []string{"postgres", "migrate", "demo", "inspect", "metrics"} {
		require.Regexp(t, `(?m)^  `+service+`:$`, config)
	}
	require.Contains(t, config, "image: postgres:17")
	text, err := os.ReadFile(filepath.Join(root, "compose.yaml"))
	require.NoError(t, err)
	ports := regexp.MustCompile(`ports: \["([^:]*):`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, ports, 2)
	for _, port := range ports {
		require.Equal(t, "127.0.0.1", port[1])
	}
	require.Equal(t, 1, strings.Count(config, "condition: service_healthy"))
	require.Equal(t, 3, strings.Count(config, "condition: service_completed_successfully"))
}

// The layer of modules in the Dockerfile has every module of this repository that the program is made of.
func TestDockerfileCopiesEveryModule(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	module, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	want := []string{"cmd/gapless"}
	for _, match := range regexp.MustCompile(`=> \.\./\.\.(?:/(\S+))?`).FindAllStringSubmatch(string(module), -1) {
		want = append(want, match[1])
	}
	var got []string
	for _, match := range regexp.MustCompile(`(?m)^COPY (?:(\S+)/)?go\.mod (?:(\S+)/)?go\.sum \./(\S*)$`).FindAllStringSubmatch(string(dockerfile), -1) {
		require.Equal(t, match[1], match[2])
		require.Equal(t, match[1], strings.TrimSuffix(match[3], "/"))
		got = append(got, match[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}
