package pgserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]installation{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": {version: "15.18", major: 15, minor: 18},
		"postgres (PostgreSQL) 17.6\n":                           {version: "17.6", major: 17, minor: 6},
		"postgres (PostgreSQL) 18beta1\n":                        {version: "18beta1", major: 18},
		"postgres (PostgreSQL) 19devel\n":                        {version: "19devel", major: 19},
	} {
		got, err := parseVersion(line)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := parseVersion("mysqld 8\n")
	require.ErrorContains(t, err, `"mysqld 8"`)
}

func TestNewestInstallation(t *testing.T) {
	t.Parallel()
	got := newest([]installation{
		{bindir: "a", major: 15, minor: 18},
		{bindir: "b", major: 17, minor: 2},
		{bindir: "c", major: 17, minor: 6},
		{bindir: "d", major: 17, minor: 6},
		{bindir: "e", major: 16, minor: 9},
	})
	require.Equal(t, "c", got.bindir)
}

// fakeBindir makes a directory whose postgres prints a version.
func fakeBindir(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, program := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
	}
	return dir
}

func TestFindInstallationNamed(t *testing.T) {
	t.Parallel()
	dir := fakeBindir(t, "16.3")
	got, err := findInstallation(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, installation{bindir: dir, version: "16.3", major: 16, minor: 3}, got)

	_, err = findInstallation(t.Context(), fakeBindir(t, "14.9"))
	require.ErrorIs(t, err, ErrTooOld)
	require.ErrorContains(t, err, "14.9")

	_, err = findInstallation(t.Context(), t.TempDir())
	require.ErrorIs(t, err, errNotServer)
	require.ErrorContains(t, err, envBindir)
}

func TestSocketDir(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/tmp/short", socketDir("/tmp/short"))
	require.Empty(t, socketDir("/"+strings.Repeat("long/", 25)))
}

func TestLeftoverClusters(t *testing.T) {
	// Not parallel: the place of temporary directories is set for the whole process.
	t.Setenv("TMPDIR", t.TempDir())
	dead := filepath.Join(os.TempDir(), clusterPrefix+"999999999-1")
	served := filepath.Join(os.TempDir(), clusterPrefix+"999999999-2")
	mine := filepath.Join(os.TempDir(), clusterPrefix+"1-3")
	odd := filepath.Join(os.TempDir(), clusterPrefix+"x")
	for _, dir := range []string{dead, served, mine, odd} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(served, "data", "postmaster.pid"), []byte("1\n/x\n"), 0o600))

	removeLeftoverClusters()
	require.NoDirExists(t, dead)
	for _, dir := range []string{served, mine, odd} {
		require.DirExists(t, dir)
	}
}
