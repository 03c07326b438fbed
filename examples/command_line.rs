//! A command-line program whose user signs in by the browser, and stays signed in from one run to the next:
//! the session is in a file, and several runs at once share it.
//!
//! ```text
//! export ISSUER=https://login.example.com CLIENT_ID=cli API=https://api.example.com
//! cargo run --example command_line --features file,loopback,rustls -- sign-in
//! cargo run --example command_line --features file,loopback,rustls -- get me
//! cargo run --example command_line --features file,loopback,rustls -- sign-out
//! ```
//!
//! The client is a public one with the redirect URI `http://127.0.0.1/callback`, for any port.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, ErrorKind, FileStore, LoopbackReceiver,
    NamedUserClient, Subject, TokenEndpoint, UserSessions,
};

fn users(endpoint: &TokenEndpoint) -> Result<UserSessions, Box<dyn Error>> {
    let file = PathBuf::from(env::var("HOME")?).join(".config/example/tokens.json");
    let users = UserSessions::builder(endpoint).store(FileStore::new(file)?);
    Ok(users.build()?)
}

async fn sign_in(
    endpoint: &TokenEndpoint,
    users: &UserSessions,
    me: &Subject,
) -> Result<(), Box<dyn Error>> {
    let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback").await?;
    let request = AuthorizationRequest::new(receiver.redirect_uri())
        .scope("openid offline_access")
        .extra("prompt", "consent"); // without it some servers leave `offline_access` out
    let (url, pending) = request.start(endpoint).await?;
    eprintln!("Sign in on this page, in any browser of this machine:\n{url}");
    // Where there is no desktop, the user has the link.
    let mut browser = Command::new("xdg-open");
    let browser = browser.stdout(Stdio::null()).stderr(Stdio::null());
    let _ = browser.arg(url.as_str()).spawn();
    let tokens = receiver.finish(endpoint, &pending).await?;
    users.sign_in(me, tokens).await?;
    Ok(())
}

async fn get(users: &UserSessions, me: &Subject, path: &str) -> Result<(), Box<dyn Error>> {
    let api = NamedUserClient::builder("api", env::var("API")?, users)
        .error_on_ended_session() // so that there is one place to look at
        .build()?;
    match api.for_subject(me).get(path).send().await {
        Ok(answer) => println!("{}", answer.error_for_status()?.text().await?),
        Err(error) => match reqwest_bearer::Error::find_in(&error).map(|own| own.kind()) {
            Some(ErrorKind::SignInRequired) => eprintln!("please sign in"),
            _ => return Err(error.into()),
        },
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let client = ClientAuthentication::none(env::var("CLIENT_ID")?);
    let endpoint = TokenEndpoint::discover(env::var("ISSUER")?, client)?;
    let (users, me) = (users(&endpoint)?, Subject::new("me")?);
    match arguments[..] {
        ["sign-in"] => sign_in(&endpoint, &users, &me).await?,
        ["get", path] => get(&users, &me, path).await?,
        ["sign-out"] => println!("{:?}", users.sign_out(&me).await?.outcome().await),
        _ => return Err("give `sign-in`, `get PATH` or `sign-out`".into()),
    }
    users.shutdown().await?; // waits until the newest refresh token is in the file
    Ok(())
}
