package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each console block of the page is run, in order, in one database and one directory; what it shows is what comes out on a terminal, but for times,
// ids and colours. UPDATE_PAGE=1 writes what comes out into the page.
func TestCommandPage(t *testing.T) {
	t.Parallel()
	runPage(t, "../../docs/command.md", 15)
}

// otherStores are the tables from which docs/importing.md imports.
const otherStores = `
	CREATE SCHEMA message_store;
	CREATE TABLE message_store.messages (global_position bigserial PRIMARY KEY, position bigint NOT NULL, time timestamp NOT NULL,
		stream_name text NOT NULL, type text NOT NULL, data jsonb, metadata jsonb, id uuid NOT NULL DEFAULT gen_random_uuid());
	INSERT INTO message_store.messages (position, time, stream_name, type, data) VALUES
		(0, '2020-01-01 10:00', 'account-1', 'Opened', '{}'), (1, '2020-01-01 10:01', 'account-1', 'Deposited', '{"amount": 5}'),
		(0, '2020-01-01 10:02', 'account:command-1', 'Withdraw', '{"amount": 3}');
	CREATE TABLE public.mt_events (seq_id bigint PRIMARY KEY, id uuid NOT NULL, stream_id uuid NOT NULL, version bigint NOT NULL, data jsonb NOT NULL,
		type varchar(500) NOT NULL, timestamp timestamptz NOT NULL, tenant_id varchar DEFAULT '*DEFAULT*', mt_dotnet_type varchar,
		correlation_id varchar, headers jsonb);
	INSERT INTO public.mt_events VALUES (1, gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 1, '{"Total": 4.20}', 'order_placed',
		'2020-01-01 10:00Z', '*DEFAULT*', 'Shop.OrderPlaced, Shop', 'c-1', '{"user": "ada"}');
	CREATE SCHEMA shop;
	CREATE TABLE shop.events (nr bigserial PRIMARY KEY, order_no text, seq int, kind text, body jsonb, at timestamptz);
	INSERT INTO shop.events (order_no, seq, kind, body, at) VALUES ('7', 0, 'PLACED', '{"total": 42}', '2020-01-01Z'), ('7', 1, 'PAID', '{}', '2020-01-02Z');
	CREATE VIEW shop.to_import AS
	SELECT nr, 'order-' || order_no AS stream, seq, 'order.' || lower(kind) AS type, body, at FROM shop.events`

// So it is with that page, whose other stores are there.
func TestImportingPage(t *testing.T) {
	t.Parallel()
	runPage(t, "../../docs/importing.md", 10, otherStores)
}

// runPage runs the blocks of a page, of which there are more than so many commands, in a database with these tables.
func runPage(t *testing.T, page string, least int, tables ...string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	run := pageShell(t, tables...)
	var want, got strings.Builder
	commands, inside := 0, false
	for line := range strings.Lines(string(text)) {
		want.WriteString(line)
		switch {
		case line == "```console\n":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && !strings.HasPrefix(line, "$ "):
			continue // output, which comes from the command above
		}
		got.WriteString(line)
		if inside && strings.HasPrefix(line, "$ ") {
			got.WriteString(run(strings.TrimPrefix(line, "$ ")))
			commands++
		}
	}
	require.Greater(t, commands, least)
	if os.Getenv("UPDATE_PAGE") != "" {
		require.NoError(t, os.WriteFile(page, []byte(got.String()), 0o644))
		return
	}
	require.Equal(t, squeeze(want.String()), squeeze(got.String()))
}

// squeeze also makes columns comparable whose width depends on a time's digits.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(normal(text)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// pageShell gives what runs a command line with the program as on a terminal, in a fresh database, and returns what it prints.
func pageShell(t *testing.T, tables ...string) func(line string) string {
	t.Helper()
	program, err := exec.LookPath("gapless")
	require.NoError(t, err)
	dir, bin := t.TempDir(), t.TempDir()
	wrapper := "#!/bin/sh\nexec '" + program + "' --table \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "gapless"), []byte(wrapper), 0o700))
	name, server := newName(), os.Getenv(envServer)
	require.NoError(t, execute(server, "CREATE DATABASE "+name))
	t.Cleanup(func() { require.NoError(t, execute(server, "DROP DATABASE "+name+" WITH (FORCE)")) })
	for _, sql := range tables {
		require.NoError(t, execute(onDatabase(server, name), sql))
	}
	return func(line string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DATABASE_URL="+onDatabase(server, name), "PATH="+bin+":"+os.Getenv("PATH"))
		out, _ := cmd.CombinedOutput() // what fails says so
		return string(out)
	}
}
