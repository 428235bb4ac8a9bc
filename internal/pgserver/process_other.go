//go:build !unix

package pgserver

import (
	"errors"
	"os/exec"
)

// Elsewhere than on Unix there is no watchdog: a killed run leaves its container, which the next run cannot tell from
// one in use, and its cluster.
func startWatchdog(string, ...string) (*watchdog, error) {
	return nil, errors.New("no watchdog on this operating system")
}

func ownerAlive(string) bool { return true }

func interruptOnCancel(*exec.Cmd) {}

type account struct{}

func serverAccount() (account, error) { return account{}, nil }

func (account) own(string) error { return nil }

func (account) apply(*exec.Cmd) {}

func stopNow(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
