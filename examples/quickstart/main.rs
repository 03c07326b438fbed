//! What the crate does for you, in seven steps that can be watched:
//! `cargo run --example quickstart`.
//!
//! An authorization server and an API run inside the example, on loopback. Each step prints what
//! happened and how many token requests it took, and checks it; the exit code is 0 if all of it
//! came out as promised. With `--issuer`, `--client-id` and `--api` it runs against a real server.

#![expect(
    clippy::disallowed_methods,
    reason = "an example shows real time; only the crate has an injected clock"
)]

mod api;
mod arguments;
mod authorization_server;
mod calls;
mod events;
mod loopback;
mod real_server;
mod report;
mod sockets;
mod steps;

use std::process::ExitCode;

use crate::arguments::{Arguments, USAGE};
use crate::report::Report;
use crate::steps::World;

#[tokio::main]
async fn main() -> ExitCode {
    let report = Report::begin();
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::InsideTheExample) => match World::start().await {
            Ok(world) => steps::run(&world, &report).await,
            Err(error) => report.check(false, format!("no server can be started: {error}")),
        },
        Ok(Arguments::RealServer(server)) => real_server::run(&server, &report).await,
        Ok(Arguments::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprint!("{fault}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    }
    report.conclude()
}
