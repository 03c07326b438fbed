//! A command-line program whose user signs in once, and stays signed in from one command to the next; several
//! at once share the session.
//!
//! ```text
//! export CLI_ISSUER=https://login.example.com CLI_CLIENT_ID=cli CLI_API=https://api.example.com
//! cargo run -p cli --features rustls -- login
//! cargo run -p cli --features rustls -- whoami
//! cargo run -p cli --features rustls -- call orders/42
//! cargo run -p cli --features rustls -- logout
//! ```
//!
//! The client is a public one with the redirect URI `http://127.0.0.1/callback`, for any port, and the device
//! grant for machines without a browser. What a program of one company knows by itself is an option here.
//!
//! Standard output has what was asked for and nothing else; all that is for people goes to standard error.
//! Exit codes: 0, 1 for a failure, 2 for a wrong command line, 4 if the user has to sign in.

mod arguments;
mod call;
mod failure;
mod login;
mod logout;
mod session;
mod whoami;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::session::Session;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.settings)?;
    let done = match arguments.command {
        Command::Login(options) => login::run(&session, &options).await,
        Command::Whoami => whoami::run(&session).await,
        Command::Call(request) => call::run(&session, &request).await,
        Command::Logout => logout::run(&session).await,
    };
    // Whatever became of it: the newest refresh token is in the file before the program ends.
    let saved = session.users.shutdown().await;
    let code = done?;
    saved?;
    Ok(code)
}
