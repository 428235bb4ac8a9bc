//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a program a process group of its own, all of which is asked to end when the program's context ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
