# Recipes for people. `just` lists them; what CI runs is `.ci/run`.

_default:
    @just --list --unsorted

# The practice rotation: nothing to install, about half a minute.
demo:
    cargo run --release -- run runbooks/quickstart.yaml

# Fast checks while writing.
check:
    cargo fmt --all -- --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo test --locked --test architecture

# All tests.
test *arguments:
    ./tests/run.sh {{arguments}}

# What CI runs.
ci:
    bash .ci/run

# Known vulnerabilities; needs the network.
advisories:
    cargo deny check advisories

# The documentation, with private items, in a browser.
doc:
    cargo doc --no-deps --document-private-items --open

# A failing seed of the simulator, again.
replay seed:
    cargo run --release --example simulate -- --replay {{seed}}

# Small changes of the pure core that no test notices: hours on two cores; `just mutants gate`, `just mutants rotation 0/8`.
mutants *arguments:
    tests/mutants/run.sh {{arguments}}
