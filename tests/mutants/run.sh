#!/usr/bin/env bash
# Mutants of the pure core: every small change of `rotation/`, `gate/`, and `engine/recover.rs` should fail a test of that module.
#
#   tests/mutants/run.sh                    all three modules, shard by shard
#   tests/mutants/run.sh gate               one module
#   tests/mutants/run.sh rotation 0/4       one shard of it
#   tests/mutants/run.sh --prepare          only make the throw-away crates
#
# The modules need almost nothing of the rest, so each is copied into a small crate under target/mutants and a mutant costs seconds.
# The copy has no deliberate mistakes (the feature `bugs`): they are blanked, line by line, so that line numbers stay as they are.
# No module is run longer than 40 minutes a shard. Alive mutants that cannot be killed are listed with a reason in `accepted.txt`;
# they are counted as alive. Not part of CI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=$root/target/mutants
version=27.1.0
most_seconds=2400

declare -A shards=([gate]=8 [rotation]=8 [engine]=2)

# dependency NAME…: lines of the project's own Cargo.toml.
dependency() {
    local name
    for name in "$@"; do grep -m1 -E "^$name = " "$root/Cargo.toml"; done
}

# copy FROM TO: a source folder without the deliberate mistakes.
copy() {
    local file to
    while IFS= read -r file; do
        to=$2/${file#"$1"/}
        mkdir -p "$(dirname "$to")"
        if [[ $file == *.rs ]]; then
            awk -f tests/mutants/without-bugs.awk "$file" > "$to.new"
        else
            cp "$file" "$to.new"
        fi
        # An unchanged file keeps its time, so that nothing is compiled again.
        if cmp -s "$to.new" "$to"; then rm "$to.new"; else mv "$to.new" "$to"; fi
    done < <(find "$1" -type f | sort)
    # What was removed from the project goes here too.
    while IFS= read -r file; do
        [[ -e $1/${file#"$2"/} ]] || rm "$file"
    done < <(find "$2" -type f)
}

# crate NAME LIB DEPENDENCIES DEV-DEPENDENCIES: writes the manifest and the root module.
crate() {
    local folder=$work/$1
    mkdir -p "$folder/src"
    {
        printf '[package]\nname = "keyroll_%s"\nversion = "0.0.0"\nedition = "2024"\npublish = false\n' "$1"
        printf '[lib]\ndoctest = false\n[dependencies]\n%s\n[dev-dependencies]\n%s\n' "$3" "$4"
    } > "$folder/Cargo.toml.new"
    if cmp -s "$folder/Cargo.toml.new" "$folder/Cargo.toml"; then rm "$folder/Cargo.toml.new"; else mv "$folder/Cargo.toml.new" "$folder/Cargo.toml"; fi
    printf '%s\n' "$2" > "$folder/src/lib.rs.new"
    if cmp -s "$folder/src/lib.rs.new" "$folder/src/lib.rs"; then rm "$folder/src/lib.rs.new"; else mv "$folder/src/lib.rs.new" "$folder/src/lib.rs"; fi
}

prepare() {
    mkdir -p "$work"
    cat > "$work/Cargo.toml" << 'TOML'
[workspace]
resolver = "3"
members = ["base", "rotation", "gate", "engine"]
# What is mutated is compiled often and run for a second.
[profile.dev]
debug = false
[profile.dev.package."*"]
opt-level = 1
TOML
    cp Cargo.lock rust-toolchain.toml "$work/"
    local own='keyroll_base = { path = "../base" }'
    local rotation='keyroll_rotation = { path = "../rotation" }'
    local gate='keyroll_gate = { path = "../gate" }'
    local plain
    plain=$(dependency serde serde_json thiserror chrono chrono-tz)
    crate base 'pub mod secret;
pub mod support {
    pub mod own_call;
}' "$(dependency serde serde_json thiserror aws-lc-rs aho-corasick base64 flate2 getrandom tempfile zeroize)" ''
    crate rotation 'pub use keyroll_base::secret;
pub mod rotation;' "$own"$'\n'"$plain" "$(dependency proptest)"
    crate gate 'pub use keyroll_base::secret;
pub use keyroll_rotation::rotation;
pub mod gate;' "$own"$'\n'"$rotation"$'\n'"$plain" "$(dependency proptest)"
    crate engine 'pub use keyroll_base::{secret, support};
pub use keyroll_gate::gate;
pub use keyroll_rotation::rotation;
pub mod ports;
pub mod engine;' "$own"$'\n'"$rotation"$'\n'"$gate"$'\n'"$plain" ''
    copy src/secret "$work/base/src/secret"
    mkdir -p "$work/base/src/support"
    cp -p src/support/own_call.rs "$work/base/src/support/own_call.rs"
    copy src/rotation "$work/rotation/src/rotation"
    copy src/gate "$work/gate/src/gate"
    copy src/ports "$work/engine/src/ports"
    copy src/engine "$work/engine/src/engine"
    # Its tests begin with the plan of a kept record.
    mkdir -p "$work/engine/src/rotation/tests"
    cp -p src/rotation/tests/records.jsonl "$work/engine/src/rotation/tests/"
}

tool() {
    PATH=$root/target/tools/bin:$PATH
    if ! cargo mutants --version 2> /dev/null | grep -q "cargo-mutants $version"; then
        cargo install cargo-mutants --quiet --locked --version "$version" --root "$root/target/tools"
    fi
}

# one MODULE SHARD: runs one shard; its lists stay in target/mutants/out/MODULE-SHARD.
one() {
    local module=$1 shard=$2 out=$work/out/$1-${2/\//-of-} status=0
    local filter=()
    if [[ $module == engine ]]; then filter=(--file 'engine/src/engine/recover.rs'); fi
    rm -rf "$out"
    mkdir -p "$out"
    timeout --kill-after=30 "$most_seconds" nice -n 15 cargo mutants --dir "$work" --in-place --package "keyroll_$module" "${filter[@]}" \
        --test-package "keyroll_$module" --shard "$shard" --sharding round-robin --timeout 60 --no-times --colors never --output "$out" \
        --cargo-test-arg=--lib > "$out/log" 2>&1 || status=$?
    # 2: some were missed, 3: some ran into the time limit. Anything else is a broken baseline or a shard that took too long.
    case $status in
        0 | 2 | 3) ;;
        *) tail -n 30 "$out/log" >&2; echo "tests/mutants/run.sh: $module $shard ended with $status" >&2; return 1 ;;
    esac
}

count() { cat "$@" 2> /dev/null | wc -l; }

# named: missed mutants from standard input; an accepted one with its reason, each as often as it is listed.
named() {
    local line what reason
    local -A seen=()
    while IFS= read -r line; do
        # rotation/src/rotation/x.rs:1:2: replace … in … → src/rotation/x.rs: replace … in …
        what=src/$(sed -E 's#^[^/]+/src/##; s#:[0-9]+:[0-9]+: #: #' <<< "$line")
        seen[$what]=$((${seen[$what]:-0} + 1))
        if ((seen[$what] <= $(grep -c -F -x "$what" tests/mutants/accepted.txt || true))); then
            reason=$(grep -m1 -F -A1 -x "$what" tests/mutants/accepted.txt | sed -n '2s/^ *//p')
            printf '  alive, accepted: %s\n      %s\n' "$line" "$reason"
        else
            printf '  ALIVE: %s\n' "$line"
        fi
    done
}

# report MODULE: counts over all shards that were run, and names what is alive. Fails from 5 % on.
report() {
    local module=$1 lists=("$work/out/$1"-*/mutants.out)
    local caught missed slow unviable
    caught=$(count "${lists[@]/%//caught.txt}") missed=$(count "${lists[@]/%//missed.txt}")
    slow=$(count "${lists[@]/%//timeout.txt}") unviable=$(count "${lists[@]/%//unviable.txt}")
    local viable=$((caught + missed + slow))
    printf '%s: %s shards, %s viable mutants, %s caught, %s alive (%s %%), %s not viable\n' "$module" "${#lists[@]}" "$viable" \
        "$((caught + slow))" "$missed" "$(awk -v a="$missed" -v v="$viable" 'BEGIN { printf "%.1f", v ? 100 * a / v : 0 }')" "$unviable"
    cat "${lists[@]/%//missed.txt}" 2> /dev/null | sort | named
    ((viable > 0 && missed * 20 < viable))
}

if [[ ${1:-} == --prepare ]]; then prepare; exit; fi
modules=(gate rotation engine)
if [[ -n ${1:-} ]]; then
    [[ -n ${shards[$1]:-} ]] || { echo "tests/mutants/run.sh: the modules are ${modules[*]}" >&2; exit 2; }
    modules=("$1")
fi
prepare
tool
failed=0
for module in "${modules[@]}"; do
    if [[ -n ${2:-} ]]; then
        one "$module" "$2" || failed=1
    else
        rm -rf "$work/out/$module"-*
        for ((k = 0; k < shards[$module]; k++)); do one "$module" "$k/${shards[$module]}" || failed=1; done
    fi
    report "$module" || failed=1
done
exit "$failed"
