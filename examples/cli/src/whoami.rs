//! `whoami`: who the authorization server says that this is (OpenID Connect Core section 5.3).

use std::process::ExitCode;

use serde::Deserialize;

use crate::failure::Failure;
use crate::session::Session;

/// OpenID Connect Discovery 1.0 section 3.
#[derive(Deserialize)]
struct Server {
    issuer: String,
    userinfo_endpoint: String,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    preferred_username: Option<String>,
    email: Option<String>,
}

pub(crate) async fn run(session: &Session) -> Result<ExitCode, Failure> {
    println!("{}", name(session).await?);
    Ok(ExitCode::SUCCESS)
}

/// The name that the user knows best.
pub(crate) async fn name(session: &Session) -> Result<String, Failure> {
    let issuer = session.issuer.trim_end_matches('/');
    let place = format!("{issuer}/.well-known/openid-configuration");
    let server: Server = reqwest::get(place)
        .await?
        .error_for_status()?
        .json()
        .await?;
    if server.issuer.trim_end_matches('/') != issuer {
        return Err("the discovery document is another server's".into());
    }
    let userinfo = session.client("userinfo", &server.userinfo_endpoint)?;
    let answer = userinfo.get("").send().await?.error_for_status()?;
    let user: UserInfo = answer.json().await?;
    Ok(user.preferred_username.or(user.email).unwrap_or(user.sub))
}
