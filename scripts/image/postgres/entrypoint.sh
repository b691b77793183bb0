#!/bin/bash
# Starts Debian's PostgreSQL as the entrypoint of PostgreSQL's own image does: as a user of its own, and with a database
# and a password where its folder is still empty.
set -euo pipefail

export PGDATA=/var/lib/postgresql/data
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups)
chown postgres:postgres "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -o postgres -m 0400 "$POSTGRES_PASSWORD_FILE" /tmp/password
  "${as_postgres[@]}" initdb --username="$POSTGRES_USER" --auth=scram-sha-256 --pwfile=/tmp/password \
    --locale=C.UTF-8 --encoding=UTF8 --no-sync >/dev/null
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | "${as_postgres[@]}" postgres --single -j postgres >/dev/null
fi
exec "${as_postgres[@]}" postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
