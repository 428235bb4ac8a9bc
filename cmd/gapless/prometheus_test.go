package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// Prometheus fetches what gapless metrics serves, evaluates the project's rules over it without an error, and one fires: an event was parked.
func TestPrometheusEvaluatesTheRules(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prometheus"); err != nil {
		leftout.Skip(t, errors.New("prometheus is not installed: apt-get install prometheus"))
	}
	dsn := copyOfTemplate(t)
	require.NoError(t, execute(dsn, `
		SELECT eventstream.append('order-1', 'order.placed');
		SELECT eventstream.subscribe('mailer', 1, 'acknowledged', '{}', '{"from": "beginning"}');
		SELECT eventstream.park_events('mailer', ARRAY[1], 5, 'no such address')`))
	at := startPrometheus(t, startMetrics(t, dsn))

	require.Eventually(t, func() bool { return targetsAreUp(t, at) }, 2*time.Minute, 100*time.Millisecond)
	rules := map[string]prometheusRule{}
	require.Eventually(t, func() bool {
		rules = readRules(t, at)
		return allEvaluated(rules) && rules["GaplessEventsParked"].State == "firing" && rules["GaplessMetricsMissing"].State == "inactive"
	}, 2*time.Minute, 100*time.Millisecond, "%v", rules)
	text, err := os.ReadFile("../../docs/monitoring/alerts.yaml")
	require.NoError(t, err)
	named := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, rules, len(named))
	for _, match := range named {
		require.Equal(t, "ok", rules[match[1]].Health, "%s: %s", match[1], rules[match[1]].LastError)
	}
	require.Equal(t, "inactive", rules["GaplessHole"].State)
	require.Contains(t, rules["GaplessEventsParked"].Alerts[0].Annotations["summary"], "Subscription mailer has put 1 events aside")
}

// startMetrics serves the metrics of a store until the test ends.
func startMetrics(t *testing.T, dsn string) (address string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "gapless", "metrics", "--listen", "127.0.0.1:0", "--dsn", dsn)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by the context of the test
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	require.NotEmpty(t, address, line)
	return address
}

// startPrometheus runs Prometheus with the project's rules until the test ends, with rounds of a second: a rule that must hold for a minute
// must hold for two seconds.
func startPrometheus(t *testing.T, target string) (url string) {
	t.Helper()
	dir := t.TempDir()
	rules, err := os.ReadFile("../../docs/monitoring/alerts.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), regexp.MustCompile(`(?m)^( +for:) \w+$`).ReplaceAll(rules, []byte("$1 2s")), 0o600))
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\n"+
		"scrape_configs: [{job_name: gapless, static_configs: [{targets: [%q]}]}]\n", target)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600))
	for range 3 { // the port may be taken before Prometheus takes it
		url = "http://" + freeAddress(t)
		if runPrometheus(t, dir, url) {
			return url
		}
	}
	t.Fatal("Prometheus ended before it was ready")
	return ""
}

// runPrometheus returns once Prometheus is ready, or has ended.
func runPrometheus(t *testing.T, dir, url string) (ready bool) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--web.listen-address="+strings.TrimPrefix(url, "http://"), "--storage.tsdb.path="+filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // the test's context ends it
	t.Cleanup(func() {
		<-ended
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			return true
		default:
			ready = isReady(url)
			return ready
		}
	}, 2*time.Minute, 100*time.Millisecond)
	return ready
}

// isReady asks whether Prometheus is: another program may have the port, and never answer.
func isReady(url string) bool {
	response, err := (&http.Client{Timeout: 5 * time.Second}).Get(url + "/-/ready")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusOK && strings.Contains(string(text), "Prometheus")
}

// freeAddress is one that was free a moment ago: Prometheus does not say which port it took.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// ask gives what Prometheus answers; false while it is not up.
func ask(t *testing.T, url string, into any) bool {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(&struct{ Data any }{into}) == nil
}

func targetsAreUp(t *testing.T, at string) bool {
	t.Helper()
	var targets struct {
		ActiveTargets []struct{ Health, LastError string }
	}
	return ask(t, at+"/api/v1/targets", &targets) && len(targets.ActiveTargets) == 1 && targets.ActiveTargets[0].Health == "up"
}

// prometheusRule is a rule as Prometheus has it.
type prometheusRule struct {
	Name, State, Health, LastError string
	Alerts                         []struct{ Annotations map[string]string }
}

func readRules(t *testing.T, at string) map[string]prometheusRule {
	t.Helper()
	var groups struct {
		Groups []struct{ Rules []prometheusRule }
	}
	rules := map[string]prometheusRule{}
	if ask(t, at+"/api/v1/rules", &groups) {
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				rules[rule.Name] = rule
			}
		}
	}
	return rules
}

// allEvaluated says whether there are rules, and none waits for its first turn.
func allEvaluated(rules map[string]prometheusRule) bool {
	for _, rule := range rules {
		if rule.Health == "unknown" {
			return false
		}
	}
	return len(rules) > 0
}
