#!/usr/bin/env bash
# Runs the tests of each recipe; without a name also the lints, and the licences below all of them.
#
#   bash examples/recipes/run.sh [recipe...]
#
# One after the other, and each by itself: what one library wants of another one's features (a TLS without a
# provider, say) would else be wanted for all. From nothing it takes about a quarter of an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_TERM_COLOR=never

recipes=("$@")
if ((${#recipes[@]} == 0)); then
    recipes=(azure_core google_cloud_auth object_store opendal progenitor)
    cargo fmt --all --check -- --color never
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources
fi

for recipe in "${recipes[@]}"; do
    printf '\n== %s\n' "$recipe"
    cargo test --locked --manifest-path "$recipe/Cargo.toml"
done
