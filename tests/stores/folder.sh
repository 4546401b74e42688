#!/bin/sh
# A store in a folder, for tests: it speaks the protocol of runbooks/command-store.md with compare-and-set.
#
#   folder.sh FOLDER VERB …
#
# `key` is what consumers read, `db` a field of somebody else, `count` goes up with every change to either. Files that a test puts there make
# it misbehave once: `fault` holds `VERB before|after what`, and `faulted` shows that it came to that.
set -eu
dir=$1 verb=$2
shift 2
# To its end before anything else: a keyroll that died on the way sends nothing more.
value=
[ -t 0 ] || IFS= read -r value || value=

fault() {
    [ -f "$dir/fault" ] || return 0
    read -r which when what < "$dir/fault"
    [ "$which $when" = "$verb $1" ] || return 0
    rm "$dir/fault"
    echo $$ > "$dir/faulted"
    case $what in
        exit-*) exit "${what#exit-}" ;;
        hang) exec 9>&-; sleep 60 ;;
        die) kill -KILL $$ ;;
    esac
}

text() { # what a JSON text may hold here is checked by keyroll
    printf '"%s"' "$(cat "$1")"
}

version() { # name of the member, file of the value, file of its version
    [ -f "$dir/$2" ] || return 0
    printf ',"%s":{"version":%s,"value":%s' "$1" "$(text "$dir/$2.version")" "$(text "$dir/$2")"
    if [ -f "$dir/$2.run" ]; then printf ',"run":%s' "$(text "$dir/$2.run")"; fi
    printf '}'
}

put() { # file, value
    printf '%s' "$2" > "$dir/$1.new"
    mv "$dir/$1.new" "$dir/$1"
}

count() { cat "$dir/count"; }

next() { put count $(($(count) + 1)); }

guarded() {
    [ "$1" = "$(count)" ] || { echo "it is at $(count) now" >&2; exit 3; }
    [ -f "$dir/key" ] || { echo "there is no such secret" >&2; exit 3; }
}

exec 9> "$dir/lock"
flock 9
fault before
case $verb in
    observe)
        printf '{"v":1,"guard":"g%s"' "$(count)"
        version current key
        version pending pending
        version previous previous
        printf ',"warnings":[]}\n'
        ;;
    stage)
        [ -n "$value" ] || exit 5
        put pending.run "$1"
        put pending.version "p$(count)-$1"
        put pending "$value"
        ;;
    promote)
        [ -n "$value" ] || exit 5
        guarded "${2#g}"
        cp "$dir/key" "$dir/previous.new"
        cp "$dir/key.version" "$dir/previous.version"
        mv "$dir/previous.new" "$dir/previous"
        # First the guard: if this dies in between, a late promote with the old one is refused all the same.
        next
        put key.version "v$(count)"
        put key "$value"
        ;;
    demote)
        [ -n "$value" ] || exit 5
        guarded "${2#g}"
        next
        put key.version "v$(count)"
        put key "$value"
        rm -f "$dir/previous" "$dir/previous.version"
        ;;
    fence)
        guarded "${1#g}"
        next
        ;;
    drop-pending)
        if [ -f "$dir/pending" ] && [ "$(cat "$dir/pending.run")" = "$1" ]; then rm -f "$dir/pending" "$dir/pending.run" "$dir/pending.version"; fi
        ;;
    retire)
        rm -f "$dir/previous" "$dir/previous.version"
        ;;
    *) exit 4 ;;
esac
fault after
