package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func readLog(t *testing.T, path string) []commit {
	t.Helper()
	repo, err := openRepository(t.Context(), path, false)
	require.NoError(t, err)
	var commits []commit
	for c, err := range repo.log(t.Context()) {
		require.NoError(t, err)
		commits = append(commits, c)
	}
	require.Len(t, commits, repo.commitCount)
	return commits
}

// filesOf gives what a commit does: path to change.
func filesOf(c commit) map[string]change {
	files := map[string]change{}
	for _, f := range c.files {
		files[f.path] = f.change
	}
	return files
}

func TestLogOfOddPaths(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	odd := []string{"a b", " leading", "trailing ", "tab\tin", "new\nline", `q"uote`, "bad\xff", "ü", "sha256:x", "1\t2\tx"}
	content := map[string]string{"bin": "\x00\x01", "rm": "1\n2\n", "link": "x\n"}
	for _, path := range odd {
		content[path] = "one\ntwo\n"
	}
	write(t, dir, content)
	commitAll(t, dir, "first\nsecond line of the subject\n\nbody\n\nSigned-off-by: Ada <ada@example.com>")
	write(t, dir, map[string]string{"rm": "", "bin": "\x00\x02", "a b": "one\nthree\nfour\n"})
	require.NoError(t, os.Remove(filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("bin", filepath.Join(dir, "link")))
	require.NoError(t, os.Rename(filepath.Join(dir, "ü"), filepath.Join(dir, "ö")))
	commitAll(t, dir, "")

	got := readLog(t, dir)
	require.Len(t, got, 2)
	require.Equal(t, "first second line of the subject", got[0].subject)
	require.Len(t, got[0].files, len(odd)+3)
	for _, f := range got[0].files {
		require.Equal(t, added, f.change)
		require.Contains(t, content, f.path)
	}
	require.Equal(t, map[string]change{
		"rm": deleted, "bin": changed, "a b": changed, "link": changed, "ü": deleted, "ö": added,
	}, filesOf(got[1]))
	for _, f := range got[1].files {
		switch f.path {
		case "bin":
			require.EqualValues(t, binary, f.added)
		case "a b":
			require.Equal(t, []int64{2, 1}, []int64{f.added, f.removed})
		case "rm":
			require.Equal(t, []int64{0, 2}, []int64{f.added, f.removed})
		}
	}
}

func TestLogOfMerges(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	write(t, dir, map[string]string{"a": "1\n"})
	commitAll(t, dir, "root")
	testGit(t, dir, nil, "switch", "--quiet", "--create", "side")
	write(t, dir, map[string]string{"b": "1\n"})
	commitAll(t, dir, "side")
	testGit(t, dir, nil, "switch", "--quiet", "main")
	write(t, dir, map[string]string{"a": "2\n"})
	commitAll(t, dir, "main")
	testGit(t, dir, nil, "merge", "--quiet", "--no-ff", "--message", "merge", "side")

	got := readLog(t, dir)
	require.Len(t, got, 4)
	require.Equal(t, "root", got[0].subject)
	require.Equal(t, "merge", got[3].subject)
	require.Empty(t, got[3].files, "a merge brings no files of its own")
}

// A second run must find what the first one wrote, whatever the working tree and the configuration say by then.
func TestLogDoesNotDependOnConfiguration(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	write(t, dir, map[string]string{"a.txt": "1\n2\n", "sub/b.txt": "1\n"})
	commitAll(t, dir, "one")
	write(t, dir, map[string]string{"a.txt": "1\n3\n"})
	require.NoError(t, os.Rename(filepath.Join(dir, "sub/b.txt"), filepath.Join(dir, "sub/c.txt")))
	commitAll(t, dir, "two")
	want := readLog(t, dir)

	write(t, dir, map[string]string{".gitattributes": "* binary\n", "order": "sub/*\n"})
	for key, value := range map[string]string{
		"diff.renames": "copies", "log.showRoot": "false", "color.ui": "always", "diff.noprefix": "true", "diff.relative": "true",
		"log.showSignature": "true", "log.decorate": "full", "diff.ignoreSubmodules": "all", "diff.algorithm": "patience",
		"diff.orderFile": "missing", "diff.external": "false", "core.quotePath": "true", "format.pretty": "fuller",
		"log.diffMerges": "first-parent",
	} {
		testGit(t, dir, nil, "config", key, value)
	}
	require.Equal(t, want, readLog(t, dir))
	require.Equal(t, want, readLog(t, filepath.Join(dir, "sub")), "a directory in it is as good")
	testGit(t, dir, nil, "worktree", "add", "--quiet", "../"+filepath.Base(dir)+"-tree", "-b", "other")
	require.Equal(t, want, readLog(t, dir+"-tree"), "so is a second working tree")
}

func TestOpenRepositorySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := openRepository(t.Context(), filepath.Join(t.TempDir(), "missing"), false)
	require.ErrorIs(t, err, errNotARepo)
	_, err = openRepository(t.Context(), t.TempDir(), false)
	require.ErrorIs(t, err, errNotARepo)
	require.ErrorContains(t, err, "not a git repository")

	dir := newRepo(t)
	_, err = openRepository(t.Context(), dir, false)
	require.ErrorIs(t, err, errNoCommits)

	commitAll(t, dir, "one")
	commitAll(t, dir, "two")
	clone := filepath.Join(t.TempDir(), "clone")
	testGit(t, dir, nil, "clone", "--quiet", "--depth=1", "file://"+dir, clone)
	_, err = openRepository(t.Context(), clone, false)
	require.ErrorIs(t, err, errShallow)
	repo, err := openRepository(t.Context(), clone, true)
	require.NoError(t, err)
	require.Equal(t, 1, repo.commitCount)
}

func TestOpenRepositoryWithoutGit(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := openRepository(t.Context(), ".", false)
	require.ErrorIs(t, err, errNoGit)
}

func TestLogReportsWhatGitSays(t *testing.T) {
	t.Parallel()
	dir := syntheticRepo(t, 5, 5, 1, false)
	repo, err := openRepository(t.Context(), dir, false)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "objects")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "objects"), 0o755))
	var last error
	for _, err := range repo.log(t.Context()) {
		last = err
	}
	require.ErrorContains(t, last, "fatal:")
}

func TestLogEndsWithItsContextAndItsReader(t *testing.T) {
	t.Parallel()
	repo, err := openRepository(t.Context(), syntheticRepo(t, 3000, 100, 3, false), false)
	require.NoError(t, err)
	for _, err := range repo.log(t.Context()) {
		require.NoError(t, err)
		break // goleak and the race detector see what is left of git
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range repo.log(ctx) {
		cancel()
		last = err
	}
	require.Error(t, last)
}
