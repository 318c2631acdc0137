#!/bin/sh
# Start PostgreSQL in its container, and give the application a role that owns its database and is no superuser.
# Needs PGDATA and POSTGRES_PASSWORD, the password of that role, which is set at each start, or DATABASE_URL_FILE, which names a file with a URL that holds it.
# The superuser, postgres, has none: it is reached from inside the container only. `database.sh check` exits 0 if the role can log in.
set -u

if [ -n "${DATABASE_URL_FILE:-}" ]; then
  POSTGRES_PASSWORD=$(sed 's|^[^:]*://[^:@]*:||; s|@.*||' "$DATABASE_URL_FILE") || exit 1
  export POSTGRES_PASSWORD
fi

if [ "${1:-}" = check ]; then
  # Over TCP and as the application's role: while the database is being created, the server listens only on its socket.
  PGPASSWORD=$POSTGRES_PASSWORD exec psql -h 127.0.0.1 -U rowgate -d rowgate -qtc 'SELECT 1' >/dev/null
fi

is_ready() {
  grep -qs '^ready' "$PGDATA/postmaster.pid"
}

find_database() {
  psql --no-psqlrc --quiet --no-align --tuples-only --username postgres --dbname postgres --command "SELECT 1 FROM pg_database WHERE datname = 'rowgate'" 2>&1
}

prepare_role() {
  psql --no-psqlrc --quiet --output /dev/null --username postgres --dbname postgres --set ON_ERROR_STOP=1 --single-transaction --file - <<'SQL'
    \getenv password POSTGRES_PASSWORD
    SELECT 'CREATE ROLE rowgate LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rowgate') \gexec
    ALTER ROLE rowgate PASSWORD :'password';
    ALTER DATABASE rowgate OWNER TO rowgate;
    ALTER ROLE postgres PASSWORD NULL;
SQL
}

# While the files of a new database are being made, a server without it runs for a moment.
prepare() {
  tries=0
  until is_ready && found=$(find_database) && [ "$found" = 1 ] && prepare_role; do
    case ${found:=} in *'role "postgres" does not exist'*)
      echo 'rowgate: this database was made by an older release, so the application is its superuser; docs/operations.md says how to change that.' >&2
      return
    esac
    tries=$((tries + 1))
    if [ $tries -ge 300 ]; then
      echo 'rowgate: the role of the application could not be prepared; what PostgreSQL says of it stands above.' >&2
      return
    fi
    sleep 1
  done
}

# In a process of its own: PostgreSQL takes the end of a child that it does not know for a crash.
(prepare &)
exec docker-entrypoint.sh "$@"
