#!/usr/bin/env bash
# Asks the demo provider behind the embedded gateway for a new upstream key and prints its value: what `issuer: { command: … }` wants.
# A real issuer is a call to the provider's console or API. The value goes to standard output and nowhere else.
set -euo pipefail

dir=${1:?the folder of the gateway}
[[ $(<"$dir/ports.json") =~ \"data\":\[([0-9]+) ]] || { echo "no address in $dir/ports.json" >&2; exit 1; }
exec 3<>"/dev/tcp/127.0.0.1/${BASH_REMATCH[1]}"

body='{"name":"upstream-next"}'
# `printf` is part of the shell, so the admin key is in nobody's list of arguments.
printf '%s\r\n' "POST /upstream/v1/keys HTTP/1.1" "host: 127.0.0.1" "authorization: Bearer $(<"$dir/admin.key")" \
    "content-type: application/json" "content-length: ${#body}" "connection: close" "" >&3
printf '%s' "$body" >&3

answer=$(cat <&3)
[[ $answer == "HTTP/1.1 201"* && $answer =~ \"secret\":\"([^\"]+)\" ]] || { echo "the demo provider made no key: ${answer%%$'\r'*}" >&2; exit 1; }
printf '%s\n' "${BASH_REMATCH[1]}"
