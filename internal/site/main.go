// Command site makes the manual a site: the pages of docs/, and the few beside it that they link to, through hugo, with a search that runs in
// the browser. Nothing of it is loaded from elsewhere.
//
//	go run ./internal/site -out site
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	out := flag.String("out", "site", "write the site to this `directory`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := build(ctx, ".", *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}
