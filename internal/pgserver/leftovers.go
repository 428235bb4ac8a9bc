package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
)

// removeContainerScript is what a watchdog does when our process died.
const removeContainerScript = `DOCKER_HOST="$1" exec docker rm -f -v "$2"`

// removeClusterScript is what a watchdog does when our process died: stop the server, remove its directory.
const removeClusterScript = `
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && kill -QUIT "$pid"; then
    n=0
    while kill -0 "$pid" && [ $n -lt 10 ]; do sleep 1; n=$((n + 1)); done
fi
rm -rf "$1"`

// removeLeftoverClusters removes the directories of runs whose process and watchdog were both killed. It is best effort.
func removeLeftoverClusters() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), clusterPrefix+"*"))
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), clusterPrefix), "-")
		if ownerAlive(owner) || serverAlive(dir) {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}

// serverAlive says whether a server may still use a cluster's directory.
func serverAlive(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	pid, _, _ := strings.Cut(string(content), "\n")
	return ownerAlive(pid)
}

// removeLeftovers removes containers of processes of this machine that died without doing so. It is best effort: what it
// cannot remove, the next run will.
func (e *engine) removeLeftovers(ctx context.Context) {
	host, err := os.Hostname()
	if err != nil {
		return
	}
	filter := make(client.Filters).Add("label", labelHost+"="+host)
	list, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		if ownerAlive(c.Labels[labelOwner]) {
			continue
		}
		_, _ = e.client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
}
