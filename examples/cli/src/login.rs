//! `login`: by the browser of this machine, or by a code for another device.

use std::env;
use std::process::ExitCode;

use reqwest_bearer::{
    AuthorizationRequest, DeviceAuthorizationRequest, LoopbackReceiver, TokenSet,
};

use crate::arguments::Login;
use crate::failure::Failure;
use crate::session::Session;
use crate::whoami;

/// Where the server sends the browser back to, on any port.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

pub(crate) async fn run(session: &Session, options: &Login) -> Result<ExitCode, Failure> {
    let tokens = if options.device || !has_browser() {
        by_device(session, options).await?
    } else {
        by_browser(session, options).await?
    };
    session.users.sign_in(&session.me, tokens).await?;
    match whoami::name(session).await {
        Ok(name) => eprintln!("You are signed in as {name}."),
        // The session is there all the same.
        Err(_) => eprintln!("You are signed in."),
    }
    Ok(ExitCode::SUCCESS)
}

async fn by_browser(session: &Session, options: &Login) -> Result<TokenSet, Failure> {
    let receiver = LoopbackReceiver::bind(REDIRECT_URI).await?;
    let mut request = AuthorizationRequest::new(receiver.redirect_uri())
        .scope(&options.scope)
        .extra("prompt", "consent"); // without it some servers leave `offline_access` out
    if let Some(account) = &options.account {
        request = request.extra("login_hint", account);
    }
    let (url, pending) = request.start(&session.endpoint).await?;
    eprintln!("Sign in on the page that your browser shows. If it shows none, open:\n{url}");
    if webbrowser::open(url.as_str()).is_err() {
        eprintln!("(no browser could be started; `cli login --device` needs none on this machine)");
    }
    Ok(receiver.finish(&session.endpoint, &pending).await?)
}

async fn by_device(session: &Session, options: &Login) -> Result<TokenSet, Failure> {
    let mut request = DeviceAuthorizationRequest::new().scope(&options.scope);
    if let Some(account) = &options.account {
        request = request.extra("login_hint", account);
    }
    let mut pending = request.start(&session.endpoint).await?;
    let minutes = pending.time_left(&session.endpoint).as_secs() / 60;
    eprintln!("{pending}\nThe code is good for {minutes} minutes.");
    Ok(pending.finish(&session.endpoint).await?)
}

/// Whether a window could be opened here: on a machine behind SSH there is none, and most have no desktop.
fn has_browser() -> bool {
    cfg!(any(windows, target_os = "macos"))
        || ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY"]
            .into_iter()
            .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}
