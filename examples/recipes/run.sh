#!/usr/bin/env bash
# Lints and runs each recipe, or those that are named, and checks the licences below all of them.
#
#   bash examples/recipes/run.sh [recipe...]
#
# One after the other, and each by itself: what one library wants of the features of another (a TLS without a
# provider, say) would be wanted of all of them. From nothing it takes some ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_TERM_COLOR=never

recipes=("$@")
((${#recipes[@]})) || recipes=(azure_core google_cloud_auth object_store opendal progenitor)

cargo fmt --all --check -- --color never
for recipe in "${recipes[@]}"; do
    printf '\n== %s\n' "$recipe"
    cargo clippy --locked --manifest-path "$recipe/Cargo.toml" --all-targets -- -D warnings
    cargo test --locked --manifest-path "$recipe/Cargo.toml"
done

printf '\n== licences, sources and banned crates\n'
cargo deny check bans licenses sources
