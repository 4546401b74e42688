# Blanks what `#[cfg(feature = "bugs")]` stands before: a statement, an arm, or a function of a file that rustfmt has formatted.
function indentation(line) {
    match(line, /^ */)
    return RLENGTH
}
/^ *#\[cfg\(feature = "bugs"\)\]$/ {
    skipping = 1
    depth = indentation($0)
    print ""
    next
}
skipping {
    if (indentation($0) == depth && ($0 ~ /[;,]$/ || $0 ~ /\}$/)) skipping = 0
    print ""
    next
}
{ print }
