//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use reqwest::Method;

/// Calls an API for you, once you have signed in.
#[derive(Parser)]
#[command(name = "cli", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where everything is.
#[derive(Args)]
pub(crate) struct Settings {
    /// The authorization server, by its issuer URL.
    #[arg(long, env = "CLI_ISSUER")]
    pub(crate) issuer: String,
    /// The id of this program there, as a public client.
    #[arg(long, env = "CLI_CLIENT_ID", default_value = "cli")]
    pub(crate) client_id: String,
    /// The base URL of the API.
    #[arg(long, env = "CLI_API")]
    pub(crate) api: String,
    /// Where the session is kept [default: tokens.json among your settings].
    #[arg(long, env = "CLI_TOKENS")]
    pub(crate) tokens: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Signs you in, by your browser or by a code for another device.
    Login(Login),
    /// Says who you are.
    Whoami,
    /// Calls the API and prints its answer.
    Call(Call),
    /// Signs you out, here and at the authorization server.
    Logout,
}

#[derive(Args)]
pub(crate) struct Login {
    /// Gives you a code for another device, also where there is a browser.
    #[arg(long)]
    pub(crate) device: bool,
    /// The account that the server's page suggests.
    #[arg(long)]
    pub(crate) account: Option<String>,
    /// What the program may do for you.
    #[arg(long, default_value = "openid offline_access")]
    pub(crate) scope: String,
}

#[derive(Args)]
pub(crate) struct Call {
    /// The path below the API's base URL, or a whole URL of the same origin.
    pub(crate) path: String,
    /// The method [default: GET, or POST with a body].
    #[arg(short = 'X', long)]
    pub(crate) method: Option<Method>,
    /// The body, as JSON.
    #[arg(short, long)]
    pub(crate) data: Option<String>,
}
