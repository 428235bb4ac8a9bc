//go:build !unix

package command

import "os/exec"

// Elsewhere than on Unix a program is ended by itself, without what it has started.
func ownGroup(*exec.Cmd) {}
