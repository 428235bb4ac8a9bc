package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testGit runs git for a test, without the configuration of who runs it.
func testGit(t *testing.T, dir string, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(gitEnvironment(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada Author", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Cem Committer", "GIT_COMMITTER_EMAIL=cem@example.com")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %s: %s", strings.Join(args, " "), out)
	return string(out)
}

func newRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	testGit(t, dir, nil, "init", "--quiet", "--initial-branch=main")
	return dir
}

// write makes files of a working tree; those with empty content are removed.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if content == "" {
			require.NoError(t, os.Remove(path))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

func commitAll(t *testing.T, dir, message string) {
	t.Helper()
	testGit(t, dir, nil, "add", "--all")
	testGit(t, dir, nil, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", message)
}

// syntheticRepo has as many commits as asked for, over as many files, each commit changing about perCommit of them. The first
// commit can be made to add all files at once.
func syntheticRepo(t testing.TB, commits, files, perCommit int, allFirst bool) string {
	t.Helper()
	dir := t.TempDir()
	run := func(stdin []byte, args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin, cmd.Env = dir, bytes.NewReader(stdin), gitEnvironment()
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	run(nil, "init", "--quiet", "--bare", "--initial-branch=main")
	run(syntheticStream(commits, files, perCommit, allFirst), "fast-import", "--quiet")
	return dir
}

func syntheticStream(commits, files, perCommit int, allFirst bool) []byte {
	var b bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	fmt.Fprintf(&b, "blob\nmark :1\ndata 6\nthe 1\n\n")
	for n := range commits {
		subject := fmt.Sprintf("commit %d", n)
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter Cem <cem@example.com> %d +0000\ndata %d\n%s\n",
			1_500_000_000+60*n, len(subject), subject)
		if n == 0 && allFirst {
			for file := range files {
				fmt.Fprintf(&b, "M 100644 :1 dir%d/file%d.go\n", file%500, file)
			}
			continue
		}
		for range 1 + random.IntN(2*perCommit-1) {
			file, content := random.IntN(files), fmt.Sprintf("line %d\nline %d\n", random.Uint32(), n)
			fmt.Fprintf(&b, "M 100644 inline dir%d/file%d.go\ndata %d\n%s\n", file%500, file, len(content), content)
		}
	}
	return b.Bytes()
}
