//! An MCP client whose user signs in by the browser, and stays signed in from one run to the next.
//!
//! ```text
//! export MCP=https://notes.example.com/mcp ISSUER=https://login.example.com CLIENT_ID=notes-cli
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- sign-in
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- tools
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- call search '{"text": "milk"}'
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- sign-out
//! ```
//!
//! The client is a public one with the redirect URI `http://127.0.0.1/callback`, for any port.
//!
//! Issuer and client are given. A program that finds them from the MCP server's 401 (RFC 9728, RFC 7591)
//! does so in `endpoint`; the rest stays as it is.

use std::env;
use std::error::Error;
use std::path::PathBuf;

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, FileStore, LoopbackReceiver, NamedUserClient,
    Subject, TokenEndpoint, TokenParameters, UserSessions,
};
use reqwest_bearer_rmcp::{McpHttpClient, http_client_builder};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};

/// The authorization server, and who this program is there.
fn endpoint() -> Result<TokenEndpoint, Box<dyn Error>> {
    let client = ClientAuthentication::none(env::var("CLIENT_ID")?);
    Ok(TokenEndpoint::discover(env::var("ISSUER")?, client)?)
}

fn users(endpoint: &TokenEndpoint, mcp: &str) -> Result<UserSessions, Box<dyn Error>> {
    let file = PathBuf::from(env::var("HOME")?).join(".config/notes/tokens.json");
    let users = UserSessions::builder(endpoint)
        .parameters(TokenParameters::new().resource(mcp)) // MCP wants it in each token request
        .store(FileStore::new(file)?);
    Ok(users.build()?)
}

async fn sign_in(
    endpoint: &TokenEndpoint,
    users: &UserSessions,
    me: &Subject,
    mcp: &str,
) -> Result<(), Box<dyn Error>> {
    let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback").await?;
    let request = AuthorizationRequest::new(receiver.redirect_uri())
        .scope(env::var("SCOPE").unwrap_or_else(|_| "offline_access".to_owned()))
        .resource(mcp);
    let (url, pending) = request.start(endpoint).await?;
    eprintln!("Sign in on this page, in any browser of this machine:\n{url}");
    let tokens = receiver.finish(endpoint, &pending).await?;
    users.sign_in(me, tokens).await?;
    Ok(())
}

async fn begin(
    users: &UserSessions,
    me: &Subject,
    mcp: &str,
) -> Result<RunningService<RoleClient, ()>, Box<dyn Error>> {
    let notes = NamedUserClient::builder("notes", mcp, users)
        .client_with_own_redirects(http_client_builder().build()?)
        .build()?;
    let http = McpHttpClient::from(notes.for_subject(me));
    match ().serve(http.transport(mcp)).await {
        Err(error) if error.is_authorization_required() => Err("please sign in".into()),
        begun => Ok(begun?),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mcp = env::var("MCP")?;
    let endpoint = endpoint()?;
    let (users, me) = (users(&endpoint, &mcp)?, Subject::new("me")?);
    match arguments[..] {
        ["sign-in"] => sign_in(&endpoint, &users, &me, &mcp).await?,
        ["tools"] => {
            let notes = begin(&users, &me, &mcp).await?;
            for tool in notes.list_all_tools().await? {
                println!("{}: {}", tool.name, tool.description.unwrap_or_default());
            }
            notes.cancel().await?;
        }
        ["call", name, ref arguments @ ..] => {
            let notes = begin(&users, &me, &mcp).await?;
            let mut call = CallToolRequestParams::new(name.to_owned());
            if let [arguments] = arguments {
                call = call.with_arguments(serde_json::from_str(arguments)?);
            }
            let result = notes.call_tool(call).await?;
            println!("{}", serde_json::to_string_pretty(&result.content)?);
            notes.cancel().await?;
        }
        ["sign-out"] => println!("{:?}", users.sign_out(&me).await?.outcome().await),
        _ => return Err("give `sign-in`, `tools`, `call NAME [ARGUMENTS]` or `sign-out`".into()),
    }
    users.shutdown().await?; // waits until the newest refresh token is in the file
    Ok(())
}
