//! What rmcp's own OAuth does, and what it does with this package, in one run:
//!
//! ```text
//! cargo test -p reqwest-bearer-rmcp --test side_by_side
//! ```
//!
//! Both have an MCP client of rmcp's, a real MCP server, and an authorization server that rotates refresh
//! tokens and ends a session whose refresh token comes twice (RFC 9700 section 2.2.2). The figures are those
//! of the README: the run fails where they differ.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

mod client;
mod ours;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;
mod theirs;

use std::fmt;
use std::process::ExitCode;

use client::Kind;

/// What one client's calls came to in one scenario.
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) kind: Kind,
    pub(crate) calls: usize,
    pub(crate) failed: usize,
    pub(crate) token_requests: usize,
    pub(crate) has_to_sign_in: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign_in = if self.has_to_sign_in { "yes" } else { "no" };
        let (scenario, kind) = (self.scenario, self.kind);
        let (requests, failed, calls) = (self.token_requests, self.failed, self.calls);
        write!(
            formatter,
            "| {scenario} | {kind} | {requests} | {failed} of {calls} | {sign_in} |"
        )
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--process")
    {
        scenarios::process(&arguments[at + 1..]).await;
        return ExitCode::SUCCESS;
    }
    let mut measured = Vec::new();
    for kind in Kind::ALL {
        measured.push(scenarios::late_refusals(kind).await);
        measured.push(scenarios::failing_save(kind).await);
        measured.push(scenarios::dead_refresh_token(kind).await);
        measured.push(scenarios::two_processes(kind).await);
    }
    measured.sort_by_key(|outcome| outcome.scenario);
    let table: Vec<String> = measured.iter().map(Outcome::to_string).collect();
    println!("{}", table.join("\n"));
    let page = include_str!("../../README.md");
    let is_figure = |line: &&str| line.starts_with("| ") && line.contains(" of ");
    let on_the_page: Vec<&str> = page.lines().filter(is_figure).collect();
    if on_the_page == table && page.contains(&measured_beside()) {
        return ExitCode::SUCCESS;
    }
    eprintln!("README.md says something else, or of another version of rmcp");
    ExitCode::FAILURE
}

/// How the page names the version that this run is built with.
fn measured_beside() -> String {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, after) = lock
        .split_once("name = \"rmcp\"\nversion = \"")
        .expect("rmcp");
    let (version, _) = after.split_once('"').expect("its version");
    format!("Measured beside rmcp {version} ")
}
