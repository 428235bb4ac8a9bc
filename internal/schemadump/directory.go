package schemadump

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// readme is the one file of the directory that is written by hand.
const readme = "README.md"

// Write makes a directory hold these files. It deletes files of objects that are gone, and no file that it did not write.
func (f Files) Write(dir string) error {
	there, err := readDirectory(dir)
	if err != nil {
		return err
	}
	for _, name := range f.leftOver(there) {
		if !strings.HasPrefix(there[name], header) {
			continue // Check names it.
		}
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	for name, text := range f {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Check compares a directory with these files. Its error names each file that differs, is missing or is left over, and what to do.
func (f Files) Check(dir string) error {
	there, err := readDirectory(dir)
	if err != nil {
		return err
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		text, is := there[name]
		switch {
		case !is:
			found = append(found, file+" is missing")
		case text != f[name]:
			found = append(found, fmt.Sprintf("%s differs (-file +migrations):\n%s", file, cmp.Diff(strings.Split(text, "\n"), strings.Split(f[name], "\n"))))
		}
	}
	for _, name := range f.leftOver(there) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasPrefix(there[name], header) {
			found = append(found, file+" is left over: its object is gone")
		} else {
			found = append(found, file+" is no generated file: remove it by hand")
		}
	}
	if len(found) == 0 {
		return nil
	}
	return errors.New(dir + " is not what the migrations make; run \"make generate\":\n" + strings.Join(found, "\n"))
}

// leftOver are the files of a directory that are of no object, in order.
func (f Files) leftOver(there Files) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, is := f[name]; !is && name != readme {
			names = append(names, name)
		}
	}
	return names
}

// readDirectory reads every file below a directory, which need not be there.
func readDirectory(dir string) (Files, error) {
	files := Files{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if file == dir && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	return files, err
}
