//! The scenarios of the Model Context Protocol's own conformance suite that are about a client's identity.

use std::fs;
use std::process::Command;

use real_parts::{Folder, installed_node};
use serde_json::Value;

/// Runs the client of this package before the suite's servers.
fn passes(scenario: &str) {
    let suite = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    );
    assert!(
        fs::exists(suite).is_ok_and(|is_there| is_there),
        "the suite is not installed: run tests/run.sh, or `npm ci` in tests/real-parts/conformance"
    );
    let results = Folder::new();
    let ended = Command::new(installed_node())
        .args([suite, "client", "--scenario", scenario])
        .args(["--command", env!("CARGO_BIN_EXE_mcp_client")])
        .arg("--output-dir")
        .arg(results.join("."))
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{scenario}: {said}");
    let checks = checks_in(&results);
    let with_status = |status| checks.iter().filter(move |check| check["status"] == status);
    assert_eq!(with_status("FAILURE").count(), 0, "{scenario}: {said}");
    assert!(with_status("SUCCESS").count() > 1, "{scenario}: {said}");
}

/// What the suite has written down, in a folder that is named after the scenario and the time.
fn checks_in(results: &Folder) -> Vec<Value> {
    let mut folder = results.join(".");
    while !folder.join("checks.json").is_file() {
        let mut within = fs::read_dir(&folder).expect("a folder");
        let next = within.next().expect("results in it");
        folder = next.expect("its name").path();
    }
    let text = fs::read_to_string(folder.join("checks.json")).expect("a text");
    serde_json::from_str(&text).expect("a list of checks")
}

#[test]
fn a_client_of_its_own_is_known_by_its_secret() {
    // E4
    passes("auth/client-credentials-basic");
}

#[test]
fn a_client_of_its_own_is_known_by_its_key() {
    // H1
    passes("auth/client-credentials-jwt");
}

#[test]
fn a_user_s_session_is_bound_to_its_key() {
    // H5
    passes("auth/dpop");
}

#[test]
fn a_server_s_nonces_are_in_the_proofs() {
    // H6
    passes("auth/dpop-nonce");
}
