#!/usr/bin/env bash
# Runs every check and every test of this repository, and says how long each took.
#
#   bash tests/run.sh
#
# Needs Rust with rustfmt and clippy, on Debian or a relative of it with x86-64. What else is
# missing it installs: Debian packages (as root or by sudo), npm and Python packages below tests/, cargo-deny.
# It stops at the first step that fails. When only a test has failed, it runs all the other tests
# too; the last line is `N passed, N failed` over all of them.
#
# From a clean clone on two cores it takes some thirty-five minutes, cargo-deny being there already.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR=never
# Debug information is a good part of the build time, and no step here reads it.
export CARGO_PROFILE_DEV_DEBUG=0
# What is built once and thrown away need not be prepared for the next change.
if [[ -n ${CI-} ]]; then export CARGO_INCREMENTAL=0; fi

log=$(mktemp)
running=''
timings=()

at_exit() {
    local code=$?
    rm -f "$log"
    if [[ -n $running ]]; then printf '\nFAILED (exit code %d): %s\n' "$code" "$running"; fi
}
trap at_exit EXIT

# step "what it does" command...
#
# The command stands alone, not before `||` or in an `if`: there bash would switch `set -e` off
# inside it, and a step of several commands would pass although one of them failed.
step() {
    local began=$SECONDS
    running=$1
    printf '\n== %s\n' "$1"
    "${@:2}"
    timings+=("$(printf '%5d s  %s' $((SECONDS - began)) "$1")")
    running=''
}

# --- what has to be there -------------------------------------------------------------------

debian_package_missing() {
    ! dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

install_debian_packages() {
    local missing=() package
    command -v npm >/dev/null || missing+=(nodejs npm)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    # For the feature `native-tls` (OpenSSL), for the C code below `rustls` (aws-lc), for the tests of
    # the stores in Redis and Postgres (behind a pooler, too), each of which starts a server of its own, the
    # browser that signs in to the web example, the second authorization server, whose tests start one each
    # as well, and the Prometheus that reads the example for monitoring.
    for package in libssl-dev pkg-config gcc redis-server postgresql pgbouncer chromium glewlwyd prometheus; do
        if debian_package_missing "$package"; then missing+=("$package"); fi
    done
    if ((${#missing[@]} == 0)); then
        echo 'nothing is missing'
        return
    fi
    echo "installing: ${missing[*]}"
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    # Its package would start a server for everyone, whose administrator has a password that everyone
    # knows. Where systemd starts nothing there is nothing to forbid.
    if [[ " ${missing[*]} " == *' glewlwyd '* && -d /run/systemd/system ]]; then
        "${as_root[@]}" systemctl mask glewlwyd.service
    fi
    # Nor is one wanted that reads the whole machine.
    if [[ " ${missing[*]} " == *' prometheus '* && -d /run/systemd/system ]]; then
        "${as_root[@]}" systemctl mask prometheus.service
    fi
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${missing[@]}"
}

# The server brings a Node of its own, since it wants a newer one than Debian has; only npm is
# Debian's, which warns that it is older than the library asks for.
install_authorization_server() {
    (cd tests/real-parts/provider && npm ci --no-fund --no-audit)
}

install_conformance_suite() {
    (cd tests/real-parts/conformance && npm ci --no-fund --no-audit)
}

install_python_servers() {
    (
        cd tests/real-parts/python
        python3 -m venv venv
        venv/bin/pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
            --requirement requirements.txt
    )
}

install_cargo_deny() {
    if cargo deny --version 2>/dev/null; then return; fi
    echo 'cargo-deny is missing; building it takes about five minutes, once'
    cargo install cargo-deny --locked
}

# --- the checks -----------------------------------------------------------------------------

features_of_the_crate() {
    cargo metadata --format-version 1 --no-deps | node -e '
        const { packages } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const { features } = packages.find(({ name }) => name === "reqwest-bearer");
        console.log(Object.keys(features).filter((name) => name !== "default").join("\n"));
    '
}

is_tls() { [[ $1 == rustls || $1 == native-tls ]]; }

# The recipes are a workspace of their own, and take too long to build here; how they look is quickly said.
check_formatting() {
    cargo fmt --all --check -- --color never
    cargo fmt --all --check --manifest-path examples/recipes/Cargo.toml -- --color never
}

clippy_with_features() { cargo clippy --workspace --all-targets --features "$features" -- -D warnings; }
clippy_without_features() { cargo clippy --no-default-features --lib -- -D warnings; }

# Each database alone, and with each kind of TLS; the tests, which have both, are linted with the workspace.
lint_the_sql_store() {
    local chosen
    for chosen in postgres sqlite postgres,rustls postgres,native-tls; do
        echo "-- $chosen"
        cargo clippy --quiet -p reqwest-bearer-sqlx --no-default-features --lib --features "$chosen" -- -D warnings
    done
}

lint_each_feature_alone() {
    local feature
    for feature in $all_features; do
        echo "-- $feature"
        cargo clippy --quiet --no-default-features --lib --features "$feature" -- -D warnings
    done
    echo '-- all of them'
    cargo clippy --quiet --all-features --lib -- -D warnings
}

# Cargo may unify both in a workspace. With its own manifest the package has `rustls` alone.
test_both_kinds_of_tls() { cargo test -p real-parts --features native-tls --test tls; }

build_docs() {
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --features "$features"
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps -p reqwest-bearer-rmcp
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps -p reqwest-bearer-sqlx --features sqlite
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps -p reqwest-bearer-testing
}

# What is published, and nothing else.
compare_package_list() {
    local list file allowed
    list=$(cargo package --list --allow-dirty)
    allowed='src/.+\.rs|docs/[A-Z]+\.md|examples/.+\.rs|README\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE)'
    # Cargo itself adds these.
    allowed+='|Cargo\.toml|Cargo\.toml\.orig|Cargo\.lock|\.cargo_vcs_info\.json'
    if grep -vxE "$allowed" <<<"$list"; then
        echo 'the files above would be published and should not be'
        return 1
    fi
    for file in src/lib.rs README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE docs/*.md; do
        if ! grep -qxF "$file" <<<"$list"; then
            echo "$file would not be published"
            return 1
        fi
    done
    echo "$(wc -l <<<"$list") files, all of them meant"
}

# --- the tests ------------------------------------------------------------------------------

# Leaves the sums in `passed` and `failed`. A test that hangs is ended with all the others after 40
# minutes, and named before that. A test binary that does not come to its summary (it
# does not build, or it aborts) is a failure that no summary counts, so the exit code is kept too.
run_tests() {
    tests_code=0
    timeout 2400 cargo test --workspace --no-fail-fast --features "$features" 2>&1 | tee "$log" || tests_code=$?
    read -r passed failed < <(awk '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^failed/) failed += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0 }
    ' "$log")
}

step 'Debian packages' install_debian_packages
step 'the real authorization server, by npm' install_authorization_server
step 'the conformance suite of the Model Context Protocol, by npm' install_conformance_suite
step 'two more authorization servers, by pip' install_python_servers
step 'cargo-deny' install_cargo_deny

# `rustls` and `native-tls` pass a choice on to reqwest and redis, and there is hardly any code of ours
# behind them (that of `mtls`, which brings rustls, is with the others). So they are linted by themselves. The tests of https have `rustls` by their own manifest, and
# run once more with both.
all_features=$(features_of_the_crate)
features=''
for feature in $all_features; do
    is_tls "$feature" || features+=${features:+,}$feature
done
printf '\nfeatures in the lints, the documentation and the tests: %s\n' "$features"

step 'formatting, of the recipes too' check_formatting
step 'clippy with all features but the two of TLS, tests and examples too' clippy_with_features
step 'clippy without features' clippy_without_features
step 'licences, sources and banned crates' cargo deny check bans licenses sources
step 'the list of published files' compare_package_list
step 'documentation without a warning' build_docs
step 'each feature alone, TLS too' lint_each_feature_alone
step 'the package of the SQL store, each database and each kind of TLS alone' lint_the_sql_store
step 'the quickstart, which says whether it went as promised' cargo run --quiet --example quickstart
step 'TLS with both of its features at once' test_both_kinds_of_tls
step 'the tests, with the real authorization server, Redis and Postgres' run_tests

printf '\n== how long it took\n'
printf '%s\n' "${timings[@]}"
printf '%5d s  in all\n' "$SECONDS"

printf '\n== summary of the test binaries\n'
grep -E '^ *(Running|Doc-tests) |^test result: |^error: ' "$log" || true
if ((tests_code != 0 && failed == 0)); then
    echo 'cargo test failed without a failed test: something did not build or was aborted'
    failed=1
fi
printf '\n%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
