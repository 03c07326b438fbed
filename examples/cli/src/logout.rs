//! `logout`: the tokens leave this machine, and the authorization server is told.

use std::process::ExitCode;

use reqwest_bearer::Revocation;

use crate::failure::Failure;
use crate::session::Session;

pub(crate) async fn run(session: &Session) -> Result<ExitCode, Failure> {
    let sign_out = session.users.sign_out(&session.me).await?;
    match sign_out.outcome().await {
        Revocation::NothingToRevoke => eprintln!("You were not signed in."),
        Revocation::Failed(error) => {
            eprintln!("You are signed out here, but the server could not be told: {error}");
            return Ok(ExitCode::FAILURE);
        }
        _ => eprintln!("You are signed out."),
    }
    Ok(ExitCode::SUCCESS)
}
