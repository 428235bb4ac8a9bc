package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Errors of the search for PostgreSQL's programs.
var (
	// ErrNoBinaries is returned when no directory holds a supported PostgreSQL server.
	ErrNoBinaries = fmt.Errorf("no directory holds postgres and initdb of PostgreSQL %d or newer; install the server "+
		"package, or set %s to the directory", minMajor, envBindir)

	errNotServer = errors.New("does not hold postgres and initdb")
)

// bindirPatterns are the places where packages put PostgreSQL's programs without linking them into PATH.
var bindirPatterns = []string{
	"/usr/lib/postgresql/*/bin",                                 // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                          // PostgreSQL's own packages for Red Hat and relatives
	"/usr/lib/postgresql*/bin",                                  // SUSE
	"/usr/libexec/postgresql*",                                  // Alpine
	"/usr/lib/postgresql/bin",                                   // Arch's upgrade package and others
	"/usr/local/pgsql/bin",                                      // built from source
	"/opt/homebrew/opt/postgresql*/bin",                         // Homebrew on Apple silicon
	"/usr/local/opt/postgresql*/bin",                            // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",            // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin",        // Postgres.app
	"/opt/local/lib/postgresql*/bin",                            // MacPorts
	"/Library/PostgreSQL/*/bin",                                 // EnterpriseDB's installer, macOS
	"/opt/PostgreSQL/*/bin",                                     // EnterpriseDB's installer, Linux
	`C:\Program Files\PostgreSQL\*\bin`,                         // EnterpriseDB's installer, Windows
	"/run/current-system/sw/bin", "/nix/var/nix/profiles/*/bin", // Nix
}

// installation is one PostgreSQL server found on this machine.
type installation struct {
	bindir  string
	version string // as the program prints it: 15.18, 18beta1
	major   int
	minor   int
}

// findInstallation gives the newest supported installation, or the one that was named.
func findInstallation(ctx context.Context, named string) (installation, error) {
	if named != "" {
		found, err := probeBindir(ctx, named)
		if err != nil {
			return found, fmt.Errorf("%s=%s: %w", envBindir, named, err)
		}
		return found, nil
	}
	var found []installation
	var reasons []error
	for _, dir := range candidateBindirs(ctx) {
		in, err := probeBindir(ctx, dir)
		if err == nil {
			found = append(found, in)
		} else if !errors.Is(err, errNotServer) {
			reasons = append(reasons, fmt.Errorf("%s: %w", dir, err))
		}
	}
	if len(found) == 0 {
		return installation{}, errors.Join(append([]error{ErrNoBinaries}, reasons...)...)
	}
	return newest(found), nil
}

// newest gives the highest version; of equal ones the first that was found, which is the one in PATH.
func newest(found []installation) installation {
	return slices.MinFunc(found, func(a, b installation) int {
		return cmp.Or(cmp.Compare(b.major, a.major), cmp.Compare(b.minor, a.minor))
	})
}

// candidateBindirs lists directories that may hold PostgreSQL's programs, each once, links resolved.
func candidateBindirs(ctx context.Context) []string {
	var dirs []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
		// The name in PATH may be a link out of the directory that holds the other programs.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range bindirPatterns {
		matches, _ := filepath.Glob(pattern)
		dirs = append(dirs, matches...)
	}

	var distinct []string
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil && !slices.Contains(distinct, real) {
			distinct = append(distinct, real)
		}
	}
	return distinct
}

// probeBindir says which server a directory holds.
func probeBindir(ctx context.Context, dir string) (installation, error) {
	for _, program := range []string{"postgres", "initdb"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return installation{}, errNotServer
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return installation{}, fmt.Errorf("postgres --version: %w", err)
	}
	in, err := parseVersion(string(out))
	if err != nil {
		return in, err
	}
	in.bindir = dir
	if in.major < minMajor {
		return in, fmt.Errorf("PostgreSQL %s: %w", in.version, ErrTooOld)
	}
	return in, nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)`)

// parseVersion reads the line that `postgres --version` prints.
func parseVersion(line string) (installation, error) {
	m := versionPattern.FindStringSubmatch(line)
	if m == nil {
		return installation{}, fmt.Errorf("postgres --version printed %q, which names no version", strings.TrimSpace(line))
	}
	in := installation{version: m[1]}
	in.major, _ = strconv.Atoi(m[2])
	in.minor, _ = strconv.Atoi(m[3])
	return in, nil
}

// socketPathLimit is the length that the shortest of the supported systems (macOS) allows for a socket's path.
const socketPathLimit = 103

// socketDir gives the directory for the Unix socket, or nothing where its path would be too long to use.
func socketDir(dir string) string {
	if len(filepath.Join(dir, ".s.PGSQL.65535")) > socketPathLimit || os.PathSeparator != '/' {
		return ""
	}
	return dir
}
