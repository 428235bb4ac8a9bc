package report

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// busyShare of its CPUs in use by others makes a machine too busy for numbers to be trusted.
const busyShare = 0.25

// Machine is where the numbers come from.
type Machine struct {
	// Settings are those of the server, in words.
	Settings string
	// Before and After are the average load of a minute at either end of the run; the run's own is part of the second. Negative where
	// the system does not say.
	Before, After float64
}

// String gives one line.
func (m Machine) String() string {
	line := fmt.Sprintf("%d CPUs (%s/%s), %s; %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), m.Settings)
	if m.Before >= 0 {
		line += fmt.Sprintf("; load %.2f before, %.2f after", m.Before, m.After)
	}
	return line
}

// Warning says that others use the machine; "" if it is quiet.
func (m Machine) Warning() string {
	if m.Before < busyShare*float64(runtime.NumCPU()) {
		return ""
	}
	return fmt.Sprintf("the machine is busy: load %.2f on %d CPUs before the run. Look at spreads before ratios.", m.Before, runtime.NumCPU())
}

// Load gives the average load of the last minute, on Linux; -1 elsewhere.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return load
}
