package pgserver

import (
	"context"
	"fmt"
)

// Dump gives a database as pg_dump of the server's own version writes it: SQL for [Server.Restore]. Roles are no part of
// it, since they belong to the whole server. Errors: [ErrNotOurs].
func (s *Server) Dump(ctx context.Context, database string) ([]byte, error) {
	own, err := s.ownHost()
	if err != nil {
		return nil, err
	}
	dump, err := own.execute(ctx, nil, "pg_dump", "--dbname="+database)
	if err != nil {
		return nil, fmt.Errorf("dumping database %s: %w", database, err)
	}
	return dump, nil
}

// Restore runs a dump in a database of this server, which must exist and should be empty, by psql, and gives up at the
// first statement that fails; what was restored before it stays. Errors: [ErrNotOurs].
func (s *Server) Restore(ctx context.Context, database string, dump []byte) error {
	own, err := s.ownHost()
	if err != nil {
		return err
	}
	_, err = own.execute(ctx, dump, "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+database)
	if err != nil {
		return fmt.Errorf("restoring into database %s: %w", database, err)
	}
	return nil
}
