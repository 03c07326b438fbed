//! Calls an API for a user, with a refresh token that is kept in a file and rotated.
//!
//! ```text
//! ISSUER=https://login.example.com CLIENT_ID=cli API=https://api.example.com/me \
//! cargo run --example refresh_token --features rustls -- refresh-token.txt
//! ```

use std::env;
use std::error::Error;
use std::path::PathBuf;

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, NamedClient, RefreshTokenGrant, Secret, TokenEndpoint,
    TokenSource,
};

/// Writes beside the file first, so that a crash leaves the old refresh token or the new one, and
/// never half of one. `FileStore` (feature `file`) does this for a program of your own, keeps others
/// from reading the file, and lets several programs share it.
async fn save(refresh_token: Secret, path: PathBuf) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    tokio::fs::write(&beside, refresh_token.expose()).await?;
    tokio::fs::rename(&beside, &path).await
}

async fn load(path: PathBuf) -> std::io::Result<Secret> {
    let refresh_token = tokio::fs::read_to_string(&path).await?;
    Ok(Secret::new(refresh_token.trim()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args()
        .nth(1)
        .ok_or("which file has the refresh token?")?;
    let path = PathBuf::from(path);
    let refresh_token = load(path.clone()).await?;

    let client = ClientAuthentication::none(env::var("CLIENT_ID")?);
    let endpoint = TokenEndpoint::discover(env::var("ISSUER")?, client)?;
    let grant = RefreshTokenGrant::new(endpoint, refresh_token);
    let source = TokenSource::builder(grant)
        // Awaited before the first call goes out with the access token that came along.
        .on_new_refresh_token({
            let path = path.clone();
            move |refresh_token| save(refresh_token, path.clone())
        })
        // Asked when the refresh token is dead: another program with the same file may have a newer one.
        .reload_refresh_token(move || load(path.clone()))
        .build()?;
    let api = NamedClient::new("me", env::var("API")?, source)?;

    match api.get("").send().await {
        Ok(response) => println!("{}", response.text().await?),
        Err(error) => match reqwest_bearer::Error::find_in(&error).map(|own| own.kind()) {
            Some(ErrorKind::SignInRequired) => println!("please sign in again"),
            _ => return Err(error.into()),
        },
    }
    api.source().shutdown().await?; // waits until the newest refresh token is in the file
    Ok(())
}
