package schemadump

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// oneOfEach are files as Read gives them.
func oneOfEach() Files {
	return Files{
		"schema.sql":            header + "\nCREATE SCHEMA eventstream;\n",
		"tables/events.sql":     header + "\nCREATE TABLE eventstream.events ();\n",
		"functions/append.sql":  header + "\nCREATE FUNCTION eventstream.append() ...;\n",
		"functions/a%2Fb.sql":   header + "\nCREATE FUNCTION eventstream.\"a/b\"() ...;\n",
		"views/audit_order.sql": header + "\nCREATE VIEW eventstream.audit_order AS SELECT 1;\n",
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

func TestWriteThenCheckFindsNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "docs", "schema")
	require.ErrorContains(t, oneOfEach().Check(dir), "schema.sql is missing", "a directory that is not there")
	require.NoError(t, oneOfEach().Write(dir))
	require.NoError(t, oneOfEach().Check(dir))
	require.NoError(t, oneOfEach().Write(dir), "twice changes nothing")
	require.NoError(t, oneOfEach().Check(dir))
}

func TestCheckNamesEachFileAndWhatToRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, oneOfEach().Write(dir))
	put(t, dir, "README.md", "By hand.\n")
	require.NoError(t, oneOfEach().Check(dir))

	put(t, dir, "tables/events.sql", header+"\nCREATE TABLE eventstream.events (id integer);\n")
	put(t, dir, "functions/gone.sql", header+"\nCREATE FUNCTION eventstream.gone() ...;\n")
	put(t, dir, "functions/notes.txt", "By hand.\n")
	require.NoError(t, os.Remove(filepath.Join(dir, "functions/append.sql")))

	err := oneOfEach().Check(dir)
	for _, want := range []string{
		`run "make generate"`,
		filepath.Join(dir, "tables/events.sql") + " differs",
		"id integer",
		filepath.Join(dir, "functions/append.sql") + " is missing",
		filepath.Join(dir, "functions/gone.sql") + " is left over",
		filepath.Join(dir, "functions/notes.txt") + " is no generated file",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, fine := range []string{"README.md", "schema.sql", "audit_order.sql"} {
		require.NotContains(t, err.Error(), fine)
	}
}

// Files of objects that are gone go too. What the generator did not write stays, and Check goes on naming it.
func TestWriteMendsWhatCheckFinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, oneOfEach().Write(dir))
	put(t, dir, "README.md", "By hand.\n")
	put(t, dir, "functions/gone.sql", header+"\nCREATE FUNCTION eventstream.gone() ...;\n")
	put(t, dir, "functions/mine.sql", "SELECT 'by hand';\n")
	put(t, dir, "tables/events.sql", "edited")
	require.NoError(t, os.Remove(filepath.Join(dir, "schema.sql")))

	require.NoError(t, oneOfEach().Write(dir))
	require.NoFileExists(t, filepath.Join(dir, "functions/gone.sql"))
	require.FileExists(t, filepath.Join(dir, "README.md"))
	require.EqualError(t, oneOfEach().Check(dir), dir+` is not what the migrations make; run "make generate":`+"\n"+
		filepath.Join(dir, "functions/mine.sql")+" is no generated file: remove it by hand")
	require.NoError(t, os.Remove(filepath.Join(dir, "functions/mine.sql")))
	require.NoError(t, oneOfEach().Check(dir))
}
