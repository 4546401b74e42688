#!/usr/bin/env bash
# A key in 1Password as a `command` slot (runbooks/command-store.md). UNTESTED: written from the documentation of the `op` tool, never run
# against the service. Try `observe` first, then a whole rotation of a key that nobody needs.
#
#   1password.sh VAULT ITEM FIELD VERB …
#
# One item holds it all: FIELD is what applications read; `keyroll-pending`, `keyroll-pending-run` and `keyroll-previous` are fields beside it.
# So whoever may read the item may read the pending value too. A change is one edit of the item; 1Password keeps the older versions of it.
# There is no compare-and-set: say `compare_and_set: false`. Needs `op` (signed in by OP_SERVICE_ACCOUNT_TOKEN, in `pass`) and `jq`.
set -Eeuo pipefail
trap 'exit 1' ERR # what a tool that failed ends with means nothing here: unknown
vault=$1 item=$2 field=$3 verb=$4
shift 4
value=
if [[ $verb == stage || $verb == promote || $verb == demote ]]; then
    IFS= read -r value || exit 5 # without its line end it is not whole
fi

document=$(op item get "$item" --vault "$vault" --format json) || exit 5

# Values go through pipes, never through arguments.
guarded() {
    [[ $1 == "$(jq -r .version <<< "$document")" ]] || { echo "the item is at another version" >&2; exit 3; }
}
ours() {
    local run
    run=$(jq -r '[.fields[] | select(.label == "keyroll-pending-run")][0].value // ""' <<< "$document")
    [[ -z $run || $run == "$1" ]] || { echo "the pending value is of run $run" >&2; exit 3; }
}
edit() { # a jq program over the item, with $value and the name of the field
    local changed
    changed=$(jq --arg field "$field" --rawfile value <(printf '%s' "$value") '
        def is($n): .label == $n;
        def get($n): [.fields[] | select(is($n))][0].value;
        def drop($n): .fields |= map(select(is($n) | not));
        def set($n; $v; $type): drop($n) | .fields += [{ id: $n, label: $n, type: $type, value: $v }];
        def put($v): .fields |= map(if is($field) then .value = $v else . end);
        '"$1" <<< "$document") || exit 1
    printf '%s' "$changed" | op item edit "$item" --vault "$vault" > /dev/null || exit 1
}

case $verb in
    observe)
        jq --arg field "$field" '
            . as $item | ("v" + (.version | tostring)) as $at
            | def get($n): [$item.fields[] | select(.label == $n)][0].value | select(. != null and . != "");
            { v: 1, guard: ($item.version | tostring), warnings: ["whoever may read the item may read the pending value too"] }
            + ({ current: { version: $at, value: get($field) } } // {})
            + ({ pending: { version: ("p-" + $at), run: get("keyroll-pending-run"), value: get("keyroll-pending") } } // {})
            + ({ previous: { version: ("b-" + $at), value: get("keyroll-previous") } } // {})' <<< "$document"
        ;;
    stage)
        ours "$1"
        RUN=$1 edit 'set("keyroll-pending"; $value; "CONCEALED") | set("keyroll-pending-run"; env.RUN; "STRING")'
        ;;
    promote)
        ours "$1"
        guarded "$2"
        edit 'get($field) as $old | set("keyroll-previous"; $old; "CONCEALED") | put($value)'
        ;;
    demote)
        guarded "$2"
        edit 'put($value) | drop("keyroll-previous")'
        ;;
    drop-pending)
        ours "$1"
        edit 'drop("keyroll-pending") | drop("keyroll-pending-run")'
        ;;
    retire) edit 'drop("keyroll-previous")' ;;
    *) exit 4 ;;
esac
