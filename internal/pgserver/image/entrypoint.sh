#!/bin/sh
# Entry point of the locally built PostgreSQL image. It follows the official image in what Testcontainers' postgres
# module relies on: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, a command of the form `postgres -c name=value`, and
# the readiness line in the log twice (once while the database is made, once for good).
set -eu

# `docker run IMAGE -c name=value` means the server, as with the official image.
case "${1:-}" in
    -*) set -- postgres "$@" ;;
esac
if [ "${1:-}" != postgres ]; then
    exec "$@"
fi

# PostgreSQL refuses to run as root: prepare the directory, then start over as its own user.
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    install -d -o postgres -g postgres -m 2775 /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

initialise() {
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "POSTGRES_PASSWORD is not set: the server would accept connections without one." >&2
        exit 1
    fi
    pwfile=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$pwfile"
    # Word splitting of the extra arguments is what the official image does too.
    # shellcheck disable=SC2086
    initdb --username="$user" --pwfile="$pwfile" --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    rm -f "$pwfile"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"

    # A private start to create the database; it is not reachable from outside the container.
    pg_ctl -w -o "-c listen_addresses='' -c fsync=off" start
    if [ "$database" != postgres ]; then
        psql -X -v ON_ERROR_STOP=1 -U "$user" -d postgres -v name="$database" <<'SQL'
CREATE DATABASE :"name";
SQL
    fi
    pg_ctl -w -m fast stop
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initialise
fi
exec "$@"
