#!/usr/bin/env bash
# A key in Infisical as a `command` slot (runbooks/command-store.md). UNTESTED: written from the documentation of Infisical's API, never run
# against the service. Try `observe` first, then a whole rotation of a key that nobody needs.
#
#   infisical.sh PROJECT-ID ENVIRONMENT NAME VERB …
#
# NAME is what applications read; NAME_KEYROLL_PENDING (with the run as its comment) and NAME_KEYROLL_PREVIOUS are secrets beside it. The
# guard is the version of NAME. There is no compare-and-set: say `compare_and_set: false`.
# Needs `curl`, `jq`, and INFISICAL_TOKEN (of a machine identity) in `pass`; INFISICAL_API for a server of your own.
set -Eeuo pipefail
trap 'exit 1' ERR # what a tool that failed ends with means nothing here: unknown
project=$1 environment=$2 name=$3 verb=$4
shift 4
value=
if [[ $verb == stage || $verb == promote || $verb == demote ]]; then
    IFS= read -r value || exit 5 # without its line end it is not whole
fi
api=${INFISICAL_API:-https://us.infisical.com}
pending=${name}_KEYROLL_PENDING previous=${name}_KEYROLL_PREVIOUS

# The token is in a header from a pipe, a value in a body from standard input: neither is an argument.
call() { # method, path; the body on standard input; prints nothing where there is no such secret
    local status body
    body=$(curl --silent --show-error --max-time 20 --request "$1" --write-out '\n%{http_code}' \
        --header @<(printf 'authorization: Bearer %s' "$INFISICAL_TOKEN") --header 'content-type: application/json' --data-binary @- "$api$2") || { echo "no answer" >&2; exit 1; }
    status=${body##*$'\n'}
    case $status in
        2??) printf '%s' "${body%$'\n'*}" ;;
        404) if [[ $1 != GET ]]; then echo "status $status" >&2; exit 1; fi ;;
        401 | 403) echo "status $status" >&2; exit 6 ;;
        429) echo "status $status" >&2; exit 5 ;;
        *) echo "status $status" >&2; exit 1 ;;
    esac
}
get() { call GET "/api/v3/secrets/raw/$1?workspaceId=$project&environment=$environment&secretPath=/" < /dev/null; }
put() { # name, whether it is there, comment; the value on standard input
    local method=PATCH body
    [[ -n $2 ]] || method=POST
    body=$(jq --raw-input --slurp --arg project "$project" --arg environment "$environment" --arg comment "$3" \
        '{ workspaceId: $project, environment: $environment, secretPath: "/", secretValue: ., secretComment: $comment }') || exit 1
    printf '%s' "$body" | call "$method" "/api/v3/secrets/raw/$1" > /dev/null || exit $?
}
delete() {
    jq --null-input --arg project "$project" --arg environment "$environment" \
        '{ workspaceId: $project, environment: $environment, secretPath: "/" }' | call DELETE "/api/v3/secrets/raw/$1" > /dev/null || exit $?
}

now=$(get "$name") || exit $?
waits=$(get "$pending") || exit $?
before=$(get "$previous") || exit $?
[[ -n $now ]] || now=null
guarded() {
    [[ $1 == "v$(jq -r '.secret.version' <<< "$now")" ]] || { echo "the secret is at another version" >&2; exit 3; }
}
ours() {
    local run
    run=$(jq -r '.secret.secretComment // ""' <<< "${waits:-null}")
    [[ -z $waits || $run == "$1" ]] || { echo "the pending value is of run $run" >&2; exit 3; }
}

case $verb in
    observe)
        jq --null-input --slurpfile now <(printf '%s' "$now") --slurpfile waits <(printf '%s' "${waits:-null}") \
            --slurpfile before <(printf '%s' "${before:-null}") '
            def shown($s; $p): if $s == null then null else { version: ($p + ($s.secret.version | tostring)), value: $s.secret.secretValue } end;
            { v: 1, guard: ("v" + (($now[0].secret.version // 0) | tostring)), current: shown($now[0]; "v"), previous: shown($before[0]; "b"),
              pending: (shown($waits[0]; "p") | if . == null then . else . + { run: $waits[0].secret.secretComment } end), warnings: [] }'
        ;;
    stage)
        ours "$1"
        printf '%s' "$value" | put "$pending" "$waits" "$1" || exit $?
        ;;
    promote)
        ours "$1"
        guarded "$2"
        jq -j '.secret.secretValue' <<< "$now" | put "$previous" "$before" "kept by keyroll" || exit $?
        printf '%s' "$value" | put "$name" yes "$(jq -r '.secret.secretComment // ""' <<< "$now")" || exit $?
        ;;
    demote)
        guarded "$2"
        printf '%s' "$value" | put "$name" yes "$(jq -r '.secret.secretComment // ""' <<< "$now")" || exit $?
        if [[ -n $before ]]; then delete "$previous"; fi
        ;;
    drop-pending)
        ours "$1"
        if [[ -n $waits ]]; then delete "$pending"; fi
        ;;
    retire) if [[ -n $before ]]; then delete "$previous"; fi ;;
    *) exit 4 ;;
esac
