//! The scenarios of the Model Context Protocol's own conformance suite that are about a client's identity: all
//! of them, in each version of the protocol that has them, by a client that is built upon this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};

use real_parts::{Folder, installed_node};
use serde_json::Value;

/// What the suite says of versions in place of one where a scenario is of an extension.
const EXTENSION: &str = "extension";

/// Scenarios that are known to fail in a version, each with its reason. One that passes has to leave.
const EXPECTED_FAILURES: [(&str, &str, &str); 0] = [];

const OF_AN_APPLICATION: [&str; 2] = [
    "auth/client-credentials-basic",
    "auth/client-credentials-jwt",
];
const WITH_A_TOKEN_TO_SHOW: [&str; 2] = [
    "auth/enterprise-managed-authorization",
    "auth/wif-jwt-bearer",
];
const BOUND_TO_A_KEY: [&str; 2] = ["auth/dpop", "auth/dpop-nonce"];
const ABOUT_THE_ISSUER: [&str; 7] = [
    "auth/iss-normalized",
    "auth/iss-not-advertised",
    "auth/iss-supported",
    "auth/iss-supported-missing",
    "auth/iss-unexpected",
    "auth/iss-wrong-issuer",
    "auth/metadata-issuer-mismatch",
];
const FOUND_BY_METADATA: [&str; 6] = [
    "auth/authorization-server-migration",
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/resource-mismatch",
];
const FOUND_WITHOUT_METADATA: [&str; 2] = [
    "auth/2025-03-26-oauth-endpoint-fallback",
    "auth/2025-03-26-oauth-metadata-backcompat",
];
const AS_A_CLIENT: [&str; 5] = [
    "auth/basic-cimd",
    "auth/pre-registration",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-none",
    "auth/token-endpoint-auth-post",
];
const WITH_SCOPES: [&str; 7] = [
    "auth/offline-access-not-supported",
    "auth/offline-access-scope",
    "auth/scope-from-scopes-supported",
    "auth/scope-from-www-authenticate",
    "auth/scope-omitted-when-undefined",
    "auth/scope-retry-limit",
    "auth/scope-step-up",
];

/// The suite, with these arguments.
fn suite(arguments: &[&str]) -> Output {
    let suite = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    );
    assert!(
        fs::exists(suite).is_ok_and(|is_there| is_there),
        "the suite is not installed: run tests/run.sh, or `npm ci` in tests/real-parts/conformance"
    );
    let ended = Command::new(installed_node())
        .arg(suite)
        .args(arguments)
        .output();
    ended.expect("node starts")
}

/// The scenarios about a client's identity that the suite has, each with its versions.
fn listed() -> BTreeMap<String, Vec<String>> {
    let listed = suite(&["list", "--client"]).stdout;
    let listed = String::from_utf8(listed).expect("a text");
    let lines = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- auth/"));
    let scenarios = lines.map(|line| {
        let (name, versions) = line.split_once(" [").expect("a name and its versions");
        let versions = versions.trim_end_matches(']').split(',');
        let versions = versions.map(str::to_owned).collect();
        (format!("auth/{name}"), versions)
    });
    scenarios.collect()
}

/// Runs the client of this package before the suite's servers, in each version.
fn pass(scenarios: &[&str]) {
    let listed = listed();
    for scenario in scenarios {
        for version in &listed[*scenario] {
            let expected = EXPECTED_FAILURES
                .iter()
                .find(|(name, of, _)| name == scenario && of == version);
            match (outcome(scenario, version), expected) {
                (Ok(()), None) | (Err(_), Some(_)) => {}
                (Err(said), None) => panic!("{scenario} in {version}: {said}"),
                (Ok(()), Some((_, _, reason))) => {
                    panic!("{scenario} in {version} passes, and was expected to fail: {reason}")
                }
            }
        }
    }
}

/// What the suite says if it does not pass. A warning is a failure too.
fn outcome(scenario: &str, version: &str) -> Result<(), String> {
    let results = Folder::new();
    let folder = results.join(".");
    let mut arguments = vec!["client", "--scenario", scenario];
    arguments.extend(["--command", env!("CARGO_BIN_EXE_mcp_client")]);
    arguments.extend(["--output-dir", folder.to_str().expect("a text")]);
    if version != EXTENSION {
        arguments.extend(["--spec-version", version]);
    }
    let ended = suite(&arguments);
    let said = || {
        let errors = String::from_utf8_lossy(&ended.stderr);
        format!("{}\n{errors}", String::from_utf8_lossy(&ended.stdout))
    };
    if !ended.status.success() {
        return Err(said());
    }
    let checks = checks_in(&results);
    let with_status = |status| checks.iter().filter(move |check| check["status"] == status);
    let is_good = with_status("FAILURE").count() == 0 && with_status("SUCCESS").count() > 1;
    is_good.then_some(()).ok_or_else(said)
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
fn each_scenario_of_the_suite_is_run() {
    let run = [
        &OF_AN_APPLICATION[..],
        &WITH_A_TOKEN_TO_SHOW,
        &BOUND_TO_A_KEY,
        &ABOUT_THE_ISSUER,
        &FOUND_BY_METADATA,
        &FOUND_WITHOUT_METADATA,
        &AS_A_CLIENT,
        &WITH_SCOPES,
    ];
    let run: BTreeSet<String> = run.concat().into_iter().map(str::to_owned).collect();
    let listed = listed();
    for (name, version, _) in EXPECTED_FAILURES {
        let versions = listed.get(name).expect("a scenario of the suite");
        assert!(
            versions.iter().any(|of| of == version),
            "{name} in {version}"
        );
    }
    let listed: BTreeSet<String> = listed.into_keys().collect();
    assert_eq!(run, listed);
    assert_eq!(run.len(), 33);
}

#[test]
fn an_application_is_known_by_its_secret_and_by_its_key() {
    // E4, H1, I5
    pass(&OF_AN_APPLICATION);
}

#[test]
fn a_token_of_a_company_or_of_a_platform_is_taken_to_the_server_of_the_api() {
    // I1, I2
    pass(&WITH_A_TOKEN_TO_SHOW);
}

#[test]
fn a_user_s_session_is_bound_to_its_key_and_a_server_s_nonces_are_in_the_proofs() {
    // H5, H6
    pass(&BOUND_TO_A_KEY);
}

#[test]
fn a_redirect_and_a_document_of_another_issuer_are_refused() {
    // I4, E7
    pass(&ABOUT_THE_ISSUER);
}

#[test]
fn the_server_of_an_api_is_found_by_its_metadata_and_found_anew() {
    // I5
    pass(&FOUND_BY_METADATA);
}

#[test]
fn an_api_from_before_the_metadata_is_its_own_server() {
    // I5
    pass(&FOUND_WITHOUT_METADATA);
}

#[test]
fn a_client_is_one_that_is_known_one_of_a_document_or_one_that_registers_itself() {
    // I5
    pass(&AS_A_CLIENT);
}

#[test]
fn the_scopes_of_a_challenge_of_the_metadata_and_of_a_step_up_are_asked_for() {
    // I5, C11
    pass(&WITH_SCOPES);
}
