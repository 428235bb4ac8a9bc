//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// startWatchdog arms a watchdog: script runs, with args as $1, $2 and so on, when this process is gone. It has a process
// group of its own, so that Ctrl-C on the terminal does not end it together with us.
func startWatchdog(script string, args ...string) (*watchdog, error) {
	argv := append([]string{"-c", "read -r _ && exit 0\n" + script, "watchdog"}, args...)
	cmd := exec.Command("sh", argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a watchdog: %w", err)
	}
	return &watchdog{pipe: pipe, wait: cmd.Wait}, nil
}

// ownerAlive says whether the process with this id exists. A value that is no process id counts as alive, so that nothing
// is removed by mistake.
func ownerAlive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return true
	}
	return !errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}

// interruptOnCancel lets a cancelled command clean up: it is asked to end, with all its children, instead of being killed.
func interruptOnCancel(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
}

// account is the user that PostgreSQL's programs run as: they refuse root.
type account struct {
	uid, gid int
	switched bool
}

// serverAccount gives postgres, or else nobody, when we are root, and ourselves otherwise.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil {
			return account{uid: uid, gid: gid, switched: true}, nil
		}
	}
	return account{}, ErrNoAccount
}

// own gives a directory to the account.
func (a account) own(dir string) error {
	if !a.switched {
		return nil
	}
	return os.Chown(dir, a.uid, a.gid)
}

// apply makes a command run as the account, in a process group of its own.
func (a account) apply(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
}

// stopNow is PostgreSQL's immediate shutdown; the data is thrown away, so nothing needs to be written.
func stopNow(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGQUIT) }

// killGroup ends what did not stop in time.
func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
