package main

import "os"

// databaseName is created where no database is given.
const databaseName = "gapless_bank"

// environment is what a teller is started with: the database is not for the list of processes, which
// shows arguments.
func environment(dsn string) []string {
	return append(os.Environ(), envTeller+"="+dsn)
}
