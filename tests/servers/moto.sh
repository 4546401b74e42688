#!/usr/bin/env bash
# Installs moto, a server that imitates AWS, from PyPI into target/servers/moto, and prints the path of its executable as the last line.
# A second call costs nothing; two at once wait for each other.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
servers="$root/target/servers"
place="$servers/moto"
mkdir -p "$servers"
exec 9>"$servers/moto.lock"
flock 9

wanted="$(sha256sum <"${BASH_SOURCE[0]}")"
if [ "$(cat "$place/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$place"
  mkdir -p "$place"
  python3 -m venv "$place/venv" >&2
  "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'moto==5.2.5' 'flask' 'flask-cors' >&2
  printf '%s\n' "$wanted" >"$place/installed"
fi
echo "$place/venv/bin/moto_server"
