//! A command-line program whose user stays signed in from one run to the next: the session is in a file,
//! and several runs at once share it.
//!
//! ```text
//! export ISSUER=https://login.example.com CLIENT_ID=cli API=https://api.example.com
//! cargo run --example command_line --features file,rustls -- sign-in < refresh-token.txt
//! cargo run --example command_line --features file,rustls -- get me
//! cargo run --example command_line --features file,rustls -- sign-out
//! ```

use std::env;
use std::error::Error;
use std::io::read_to_string;
use std::path::PathBuf;

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, FileStore, NamedUserClient, Subject, TokenEndpoint, TokenSet,
    UserSessions,
};

fn users() -> Result<UserSessions, Box<dyn Error>> {
    let client = ClientAuthentication::none(env::var("CLIENT_ID")?);
    let endpoint = TokenEndpoint::discover(env::var("ISSUER")?, client)?;
    let file = PathBuf::from(env::var("HOME")?).join(".config/example/tokens.json");
    let users = UserSessions::builder(&endpoint).store(FileStore::new(file)?);
    Ok(users.build()?)
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
    let (users, me) = (users()?, Subject::new("me")?);
    match arguments[..] {
        ["sign-in"] => {
            // Not an argument, which every user of the machine could read.
            let refresh_token = read_to_string(std::io::stdin())?;
            let tokens = TokenSet::from_refresh_token(refresh_token.trim());
            users.sign_in(&me, tokens).await?;
        }
        ["get", path] => get(&users, &me, path).await?,
        ["sign-out"] => println!("{:?}", users.sign_out(&me).await?.outcome().await),
        _ => return Err("give `sign-in`, `get PATH` or `sign-out`".into()),
    }
    users.shutdown().await?; // waits until the newest refresh token is in the file
    Ok(())
}
