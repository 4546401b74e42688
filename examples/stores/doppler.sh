#!/usr/bin/env bash
# A key in Doppler as a `command` slot (runbooks/command-store.md). UNTESTED: written from the documentation of Doppler's API, never run
# against the service. Try `observe` first, then a whole rotation of a key that nobody needs.
#
#   doppler.sh PROJECT CONFIG NAME VERB …
#
# NAME is what applications read; NAME_KEYROLL_PENDING, NAME_KEYROLL_RUN and NAME_KEYROLL_PREVIOUS lie beside it in the same config, so
# applications get them too when they are started anew. The guard is the newest entry of the config's log. There is no compare-and-set: say
# `compare_and_set: false`. Applications must fetch again or be restarted: name that as their `reload`.
# Needs `curl`, `jq`, and DOPPLER_TOKEN in `pass`.
set -Eeuo pipefail
trap 'exit 1' ERR # what a tool that failed ends with means nothing here: unknown
project=$1 config=$2 name=$3 verb=$4
shift 4
value=
if [[ $verb == stage || $verb == promote || $verb == demote ]]; then
    IFS= read -r value || exit 5 # without its line end it is not whole
fi
api=${DOPPLER_API:-https://api.doppler.com}

# The token is in a header from a pipe, a value in a body from standard input: neither is an argument.
call() { # method, path and query; the body on standard input
    local status body
    body=$(curl --silent --show-error --max-time 20 --request "$1" --write-out '\n%{http_code}' \
        --header @<(printf 'authorization: Bearer %s' "$DOPPLER_TOKEN") --header 'content-type: application/json' --data-binary @- "$api$2") || { echo "no answer" >&2; exit 1; }
    status=${body##*$'\n'}
    case $status in
        2??) printf '%s' "${body%$'\n'*}" ;;
        401 | 403) echo "status $status" >&2; exit 6 ;;
        429) echo "status $status" >&2; exit 5 ;;
        *) echo "status $status" >&2; exit 1 ;;
    esac
}
where="project=$project&config=$config"
secrets=$(call GET "/v3/configs/config/secrets/download?$where&format=json" < /dev/null) || exit $?
log=$(call GET "/v3/configs/config/logs?$where&per_page=1" < /dev/null) || exit $?
log=$(jq -r '.logs[0].id' <<< "$log")

guarded() { [[ $1 == "$log" ]] || { echo "the config was changed since" >&2; exit 3; }; }
ours() {
    local run
    run=$(jq -r --arg name "${name}_KEYROLL_RUN" '.[$name] // ""' <<< "$secrets")
    [[ -z $run || $run == "$1" ]] || { echo "the pending value is of run $run" >&2; exit 3; }
}
change() { # a jq program that makes the new values, all written in one call
    local body
    body=$(jq --arg project "$project" --arg config "$config" --arg name "$name" --rawfile value <(printf '%s' "$value") \
        '. as $now | { project: $project, config: $config, secrets: ('"$1"') }' <<< "$secrets") || exit 1
    printf '%s' "$body" | call POST /v3/configs/config/secrets > /dev/null || exit $?
}
delete() { call DELETE "/v3/configs/config/secret?$where&name=$1" < /dev/null > /dev/null || exit $?; }
have() { jq -e --arg name "$1" 'has($name)' <<< "$secrets" > /dev/null; }

case $verb in
    observe)
        jq --arg name "$name" --arg at "$log" '
            def get($n): .[$n] | select(. != null and . != "");
            { v: 1, guard: $at, warnings: ["the pending value lies in the same config"] }
            + ({ current: { version: $at, value: get($name) } } // {})
            + ({ pending: { version: ("p-" + $at), run: get($name + "_KEYROLL_RUN"), value: get($name + "_KEYROLL_PENDING") } } // {})
            + ({ previous: { version: ("b-" + $at), value: get($name + "_KEYROLL_PREVIOUS") } } // {})' <<< "$secrets"
        ;;
    stage)
        ours "$1"
        RUN=$1 change '{ ($name + "_KEYROLL_PENDING"): $value, ($name + "_KEYROLL_RUN"): env.RUN }'
        ;;
    promote)
        ours "$1"
        guarded "$2"
        change '{ ($name): $value, ($name + "_KEYROLL_PREVIOUS"): $now[$name] }'
        ;;
    demote)
        guarded "$2"
        change '{ ($name): $value }'
        if have "${name}_KEYROLL_PREVIOUS"; then delete "${name}_KEYROLL_PREVIOUS"; fi
        ;;
    drop-pending)
        ours "$1"
        for each in "${name}_KEYROLL_PENDING" "${name}_KEYROLL_RUN"; do if have "$each"; then delete "$each"; fi; done
        ;;
    retire) if have "${name}_KEYROLL_PREVIOUS"; then delete "${name}_KEYROLL_PREVIOUS"; fi ;;
    *) exit 4 ;;
esac
