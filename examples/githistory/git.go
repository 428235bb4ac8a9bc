package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What can be wrong with a repository before anything is read.
var (
	errNoGit     = errors.New("git is not there: install it (apt-get install git, brew install git), or add it to PATH")
	errNotARepo  = errors.New("not a git repository: give the path of one with -repo, or REPO= for make demo")
	errNoCommits = errors.New("no commits yet: commit something first, or give another repository with -repo")
	errShallow   = errors.New("a shallow clone: the history before it is missing, and its oldest commits would seem to add every " +
		"file; fetch the rest with git fetch --unshallow, or take what there is with -shallow")
)

// inDir makes the current directory the git directory. So git finds no .gitattributes of the working tree, which would make the
// same commit count differently tomorrow, and need not be told that a bare repository is safe.
const inDir = "--git-dir=."

// logFormat marks a commit by byte 1, which no line of file changes starts with, and asks for nothing about people.
const logFormat = "--format=%x01%H%x00%ct%x00%s"

// logArgs pins down whatever configuration could change in the output, and keeps git from running commands that a repository's
// configuration names. Parents come before children even where clocks were wrong.
var logArgs = []string{
	inDir,
	"-c", "log.showRoot=true", "-c", "diff.relative=false", "-c", "core.attributesFile=" + os.DevNull,
	"log", "--reverse", "--date-order", "--raw", "--numstat", "-z", logFormat, "--no-abbrev", "--no-renames", "--encoding=UTF-8",
	"--no-color", "--no-notes", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none",
	"--diff-algorithm=myers", "-O" + os.DevNull, "HEAD", "--",
}

// repository is a git repository that was found to be in order.
type repository struct {
	// dir is its git directory.
	dir string
	// commitCount is the number of commits that log gives.
	commitCount int
}

// openRepository finds the repository that a path is in. Its errors say what to do.
func openRepository(ctx context.Context, path string, shallow bool) (*repository, error) {
	if path == "" {
		path = "."
	}
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errors.Join(errNoGit, err)
	}
	dir, err := git(ctx, path, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", path, errNotARepo, err)
	}
	r := &repository{dir: dir}
	if _, err := git(ctx, dir, inDir, "rev-parse", "--quiet", "--verify", "HEAD^{commit}"); err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", path, errNoCommits, err)
	}
	answer, err := git(ctx, dir, inDir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return nil, err
	}
	if answer == "true" && !shallow {
		return nil, fmt.Errorf("%s: %w", path, errShallow)
	}
	count, err := git(ctx, dir, inDir, "rev-list", "--count", "HEAD", "--")
	if err != nil {
		return nil, err
	}
	r.commitCount, err = strconv.Atoi(count)
	return r, err
}

// log gives the commits, oldest first, as git finds them. Leaving the loop, or the end of ctx, ends git.
func (r *repository) log(ctx context.Context) iter.Seq2[commit, error] {
	return func(yield func(commit, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		cmd := gitCommand(ctx, r.dir, logArgs...)
		stdout, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			cancel()
			yield(commit{}, fmt.Errorf("git log: %w", err))
			return
		}
		parseErr, left := forward(parseLog(stdout), yield)
		if left || parseErr != nil {
			cancel()
		}
		err = gitError(cmd, cmd.Wait())
		cancel()
		switch {
		case left:
		case parseErr != nil:
			yield(commit{}, fmt.Errorf("git log: %w", errors.Join(parseErr, err)))
		case err != nil:
			yield(commit{}, err)
		}
	}
}

// forward passes commits on until an error, which it returns, or until yield has enough, which it says.
func forward(commits iter.Seq2[commit, error], yield func(commit, error) bool) (err error, left bool) {
	for c, err := range commits {
		if err != nil {
			return err, false
		}
		if !yield(c, nil) {
			return nil, true
		}
	}
	return nil, false
}

// git runs one command and returns what it printed, without the newline at its end.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := gitCommand(ctx, dir, args...)
	var out strings.Builder
	cmd.Stdout = &out
	if err := gitError(cmd, cmd.Run()); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// gitCommand runs git in a directory.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-pager"}, args...)...)
	cmd.Dir = filepath.Clean(dir)
	cmd.Env = gitEnvironment()
	cmd.Stderr = &tail{limit: 2000}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// gitEnvironment leaves out what a git hook sets, which would send git to that hook's repository, and asks for messages in English.
func gitEnvironment() []string {
	env := []string{"LC_ALL=C", "GIT_ATTR_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0"}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
			"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_DIFF_OPTS", "LC_ALL":
		default:
			env = append(env, variable)
		}
	}
	return env
}

// gitError adds to a failure what git said about it.
func gitError(cmd *exec.Cmd, err error) error {
	if err == nil {
		return nil
	}
	said := ""
	if stderr, ok := cmd.Stderr.(*tail); ok {
		said = strings.TrimSpace(string(stderr.text))
	}
	if said == "" {
		return fmt.Errorf("git: %w", err)
	}
	return fmt.Errorf("git: %w: %s", err, said)
}

// tail keeps the last bytes that are written to it.
type tail struct {
	text  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - t.limit; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}
