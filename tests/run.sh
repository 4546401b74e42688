#!/usr/bin/env bash
# Everything this project can show about itself, on loopback only, in bounded time.
#
#   ./tests/run.sh           all of it
#   ./tests/run.sh --slow    also a million simulated runs, 300 kills, and what waits for the default times of real gateways
#   KEYROLL_TESTS=core ./tests/run.sh    without other software: the tests in `tests/real_*.rs` are left out and counted as skipped
#
# Other software is installed into target/servers by the scripts in tests/servers. What cannot be had is named, and ends this with 1.
# The last line counts what passed, failed, and was skipped, and names the real servers. With CI=true a skipped test is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

slow=no
for argument in "$@"; do
    case $argument in
        --slow) slow=yes ;;
        *) echo "tests/run.sh: unknown argument $argument; there is --slow" >&2; exit 2 ;;
    esac
done
case ${KEYROLL_TESTS:-all} in
    all | core) ;;
    *) echo "tests/run.sh: KEYROLL_TESTS is 'all' or 'core'" >&2; exit 2 ;;
esac

missing=()
for tool in cargo timeout mktemp sha256sum sed grep; do
    command -v "$tool" > /dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
    echo "tests/run.sh: these tools are missing: ${missing[*]}" >&2
    exit 1
fi

passed=0 failed=0 skipped=0
failures=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CARGO_TERM_COLOR=never RUST_BACKTRACE=0 NO_COLOR=1
unset KEYROLL_STATE || true

say() { printf '\n== %s\n' "$*"; }
clock() { date +%s; }

# step NAME SECONDS COMMAND…: one test by its exit status; its output is shown when it fails.
step() {
    local name=$1 limit=$2 log began status=0
    shift 2
    log=$scratch/step.log
    began=$(clock)
    timeout --kill-after=10 "$limit" "$@" > "$log" 2>&1 < /dev/null || status=$?
    if ((status == 0)); then
        passed=$((passed + 1))
        printf 'ok      %s (%s s)\n' "$name" $(($(clock) - began))
    else
        failed=$((failed + 1))
        failures+=("$name")
        printf 'FAILED  %s (exit %s after %s s)\n' "$name" "$status" $(($(clock) - began))
        tail -n 60 "$log" | sed 's/^/        /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'skipped %s: %s\n' "$1" "$2"
}

# counted NAME SECONDS COMMAND…: many tests; their own summary is counted.
counted() {
    local name=$1 limit=$2 log status=0 p f s
    shift 2
    log=$scratch/counted.log
    timeout --kill-after=10 "$limit" "$@" 2>&1 < /dev/null | tee "$log" || status=$?
    # nextest: "Summary [ 1.0s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped"; cargo test: "test result: ok. 11 passed; 1 failed; 2 ignored; …"
    p=$(sum "$log" '([0-9]+) passed') f=$(sum "$log" '([0-9]+) (failed|timed out)') s=$(sum "$log" '([0-9]+) (skipped|ignored)')
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if ((status != 0 && f == 0)); then
        failed=$((failed + 1))
        f=1
    fi
    if ((p + f == 0)) && [[ $name != "doc tests" ]]; then
        echo "$name: no test ran" >&2
        failed=$((failed + 1))
        f=1
    fi
    if ((f > 0)); then failures+=("$name"); fi
}

# sum FILE PATTERN: the first group of each match in the summary lines, added up. What a test itself prints is indented and does not count.
sum() {
    local total=0 line number
    while IFS= read -r line; do
        while [[ $line =~ $2 ]]; do
            number=${BASH_REMATCH[1]}
            total=$((total + number))
            line=${line#*"${BASH_REMATCH[0]}"}
        done
    done < <(grep -E '^( *Summary \[|test result:)' "$1" || true)
    echo "$total"
}

servers=()
if [[ ${KEYROLL_TESTS:-all} == all ]]; then
    say "other software"
    absent=()
    for script in tests/servers/*.sh; do
        [[ -e $script ]] || continue
        name=$(basename "$script" .sh)
        began=$(clock)
        if timeout --kill-after=10 900 bash "$script" > "$scratch/install.log" 2>&1 < /dev/null; then
            servers+=("$name")
            printf 'ok      %s (%s s)\n' "$name" $(($(clock) - began))
        else
            absent+=("$name")
            printf 'FAILED  %s\n' "$name"
            tail -n 20 "$scratch/install.log" | sed 's/^/        /'
        fi
    done
    if ((${#absent[@]})); then
        echo "tests/run.sh: cannot be had: ${absent[*]}; KEYROLL_TESTS=core leaves out what needs other software" >&2
        exit 1
    fi
fi

say "build"
cargo build --quiet --locked --all-targets
# Together: built apart, the dependencies would be built twice.
cargo build --quiet --locked --release --bin keyroll --example simulate
keyroll=$PWD/target/release/keyroll
if [[ -n ${CARGO_TARGET_DIR:-} ]]; then keyroll=$CARGO_TARGET_DIR/release/keyroll; fi

kills=40
if [[ $slow == yes ]]; then kills=300; fi

say "unit, property, architecture, policy, process, and kill tests ($kills kills)"
which='all()'
if [[ ${KEYROLL_TESTS:-all} == core ]]; then which='not binary(/^real_/)'; fi
command -v cargo-nextest > /dev/null || cargo install cargo-nextest --quiet --locked --version 0.9.143 --root "$PWD/target/tools"
PATH=$PATH:$PWD/target/tools/bin
counted "cargo nextest" 3600 env KEYROLL_KILLS=$kills KEYROLL_BIN="$keyroll" \
    cargo nextest run --locked --no-fail-fast --status-level fail --final-status-level fail -E "$which"
if [[ $slow == yes && ${KEYROLL_TESTS:-all} == all ]]; then
    # Only the tests that this feature adds: the others ran above, and are not skipped.
    before=$skipped
    counted "default times" 900 env KEYROLL_BIN="$keyroll" \
        cargo nextest run --locked --no-fail-fast --features slow --test real_litellm -- the_default_cache
    skipped=$before
fi

say "examples in the documentation"
counted "doc tests" 900 cargo test --locked --doc

say "policies"
for policy in runbooks/*.yaml examples/*.yaml; do
    step "lint $policy" 10 "$keyroll" lint "$policy"
done

say "every fault of the sandbox, with all checks and with the one meant for it taken out"
step "drill --without" 300 "$keyroll" drill --without --quiet

say "the simulator"
# A short run cannot fill every cell of the matrix; the million must.
runs=20000 short=--short
if [[ $slow == yes ]]; then runs=1000000 short=""; fi
if [[ -e examples/simulate/main.rs ]]; then
    step "simulate $runs runs" 1800 "${keyroll%/keyroll}/examples/simulate" --runs $runs --seed 7 $short
else
    skip "simulate $runs runs" "examples/simulate is not in this tree"
fi
if [[ $slow == yes ]]; then
    step "every deliberate mistake is caught" 900 \
        cargo run --quiet --locked --release --features bugs --example simulate -- --bugs --runs 20000
fi

# One folder for the two rotations: the second rotates the key that the first one made.
say "whole rotations, as in the README"
home=$scratch/home
mkdir -p "$home"
cp -r runbooks examples "$home/"
cd "$home"

# Fails unless the rotation ended within a minute, said so, and left a bundle that verifies and holds no key.
quickstart() {
    local bundle manifest before after
    before=$(sed -n 's/^GATEWAY_API_KEY=//p' .keyroll/sandbox/store/.env 2> /dev/null || true)
    timeout --kill-after=10 60 "$keyroll" run runbooks/quickstart.yaml
    after=$(sed -n 's/^GATEWAY_API_KEY=//p' .keyroll/sandbox/store/.env)
    bundle=$(ls -dt .keyroll/runs/*/bundle | head -n 1)
    "$keyroll" evidence verify "$bundle"
    (cd "$bundle" && sha256sum --quiet --strict -c manifest-sha256.txt)
    [[ -n $after && $after != "$before" ]] || { echo "the slot holds the value it held before"; return 1; }
    for value in "$before" "$after" "$(< .keyroll/sandbox/admin.key)"; do
        if [[ -n $value ]] && grep -rqF -- "$value" .keyroll/runs; then echo "a secret is in the state folder"; return 1; fi
    done
    for manifest in .keyroll/claims/*; do
        if [[ -e $manifest ]]; then echo "a claim is left: $manifest"; return 1; fi
    done
}
export -f quickstart
export keyroll
step "runbooks/quickstart.yaml" 90 bash -euo pipefail -c quickstart
step "runbooks/quickstart.yaml again" 90 bash -euo pipefail -c quickstart

# A changed byte must be found: a check that cannot fail shows nothing.
tampered() {
    local bundle status=0
    bundle=$(ls -dt .keyroll/runs/*/bundle | head -n 1)
    cp -r "$bundle" tampered
    sed -i.old '1s/Rotated/rotated/;s/enabled/Enabled/' tampered/report.md && rm -f tampered/report.md.old
    printf ' ' >> tampered/report.md
    "$keyroll" evidence verify tampered || status=$?
    ((status == 50)) || { echo "a changed bundle gave exit $status, not 50"; return 1; }
}
export -f tampered
step "a changed bundle is found" 30 bash -euo pipefail -c tampered
cd - > /dev/null

say "result"
if ((${#failures[@]})); then printf 'failed: %s\n' "${failures[@]}"; fi
used=none
if ((${#servers[@]})); then used=$(IFS=,; echo "${servers[*]}"); fi
echo "$passed passed, $failed failed, $skipped skipped"
echo "$passed passed, $failed failed, $skipped skipped; real servers: ${used//,/, }"
if ((failed > 0)); then exit 1; fi
if [[ ${CI:-} == true ]] && ((skipped > 0)); then exit 1; fi
