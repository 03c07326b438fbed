//! `call`: a request to the API, and its answer.

use std::io::{self, Write as _};
use std::process::ExitCode;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::arguments::Call;
use crate::failure::Failure;
use crate::session::Session;

pub(crate) async fn run(session: &Session, call: &Call) -> Result<ExitCode, Failure> {
    let method = match (&call.method, &call.data) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let mut request = session
        .client("api", &session.api)?
        .request(method, &call.path);
    if let Some(data) = &call.data {
        request = request
            .header(CONTENT_TYPE, "application/json")
            .body(data.clone());
    }
    let answer = request.send().await?;
    let status = answer.status();
    // As it came, whatever the status: the API's words say more than ours.
    let body = answer.bytes().await?;
    match io::stdout().write_all(&body) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        // Whoever reads has seen enough.
        _ => {}
    }
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("The API answered {status}.");
    Ok(ExitCode::FAILURE)
}
