package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// errNoHugo says what to install.
var errNoHugo = errors.New("hugo is not on this machine: apt-get install --no-install-recommends hugo")

// build writes the site of a repository. Hugo works in a directory of its own, so that no copy of a page is ever left in the repository.
func build(ctx context.Context, root, out string) (err error) {
	hugo, err := exec.LookPath("hugo")
	if err != nil {
		return errNoHugo
	}
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "gapless-site-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := lay(root, work); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, hugo, "--quiet", "--source", work, "--destination", out, "--cleanDestinationDir")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("hugo: %w\n%s", err, said.String())
	}
	return writeIndex(out)
}

// lay writes what hugo takes: its settings and layouts, the pages as content, and files that pages link to.
func lay(root, work string) error {
	if err := os.CopyFS(work, os.DirFS(filepath.Join(root, "docs", "_site"))); err != nil {
		return err
	}
	pages, err := readPages(root)
	if err != nil {
		return err
	}
	for _, page := range pages.list {
		text, err := pages.content(page)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(work, "content", page.file), text); err != nil {
			return err
		}
	}
	menu, err := json.Marshal(map[string]any{"groups": pages.menu()})
	if err != nil {
		return err
	}
	if err := write(filepath.Join(work, "data", "menu.json"), string(menu)); err != nil {
		return err
	}
	return copyLinked(root, work)
}

// copyLinked puts beside the pages what they show and link to: pictures, and the definitions of the schema.
func copyLinked(root, work string) error {
	for _, pattern := range []string{
		"docs/*.svg", "docs/*.png", "docs/*/*.png", "docs/monitoring/*", "docs/schema/*.sql", "docs/schema/*/*.sql", "LICENSE", "compose.yaml",
	} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			target := strings.TrimPrefix(filepath.ToSlash(rel), "docs/")
			if err := write(filepath.Join(work, "static", filepath.FromSlash(target)), string(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
