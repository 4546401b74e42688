#!/usr/bin/env bash
# Installs LiteLLM's proxy into target/servers/litellm from PyPI and npm, at pinned versions, and prints its Python as the last line.
# Beside it: `engine/query-engine.js`, which stands in for the engine that prisma-client-py would download, and `schema.sql`.
# A second call costs nothing; two at once wait for each other.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/litellm"
servers="$(cd "$here/../../.." && pwd)/target/servers"
place="$servers/litellm"
python="$place/venv/bin/python"
mkdir -p "$servers"
exec 9>"$servers/litellm.lock"
flock 9

wanted="$(cat "$here/requirements.txt" "$here/engine/"* "$here/../litellm.sh" | sha256sum)"
if [ "$(cat "$place/installed" 2>/dev/null)" = "$wanted" ]; then
  echo "$python"
  exit 0
fi

rm -rf "$place"
mkdir -p "$place"
cp -r "$here/engine" "$place/engine"
(cd "$place/engine" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2

interpreter=""
for candidate in python3.11 python3.12 python3.13 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    interpreter="$candidate"
    break
  fi
done
[ -n "$interpreter" ] || { echo "litellm.sh: Python 3.11 or newer is needed" >&2; exit 1; }
"$interpreter" -m venv "$place/venv" >&2
"$python" -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r "$here/requirements.txt" >&2

# Both names point to the stand-in: else the command-line tool would fetch what it does not need for generating.
engine="$place/engine/query-engine.js"
extras="$("$python" -c 'import importlib.util, os; print(os.path.dirname(importlib.util.find_spec("litellm_proxy_extras").origin))')"
proxy="$("$python" -c 'import importlib.util, os; print(os.path.dirname(importlib.util.find_spec("litellm").origin))')/proxy"
PATH="$place/venv/bin:$PATH" PRISMA_QUERY_ENGINE_BINARY="$engine" PRISMA_SCHEMA_ENGINE_BINARY="$engine" PRISMA_HOME_DIR="$place/prisma" \
  npm_config_ignore_scripts=true CHECKPOINT_DISABLE=1 "$python" -m prisma generate --schema "$proxy/schema.prisma" >&2

# There is no engine for migrations: their SQL in the order of their folders is the schema.
find "$extras/migrations" -name migration.sql -print0 | sort -z | xargs -0 -I{} sh -c 'cat "$1"; echo ";"' _ {} >"$place/schema.sql"

printf '%s\n' "$wanted" >"$place/installed"
echo "$python"
