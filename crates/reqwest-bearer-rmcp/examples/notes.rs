//! An MCP client whose user signs in by the browser, and stays signed in from one run to the next. It is given
//! the MCP server's URL and nothing else.
//!
//! ```text
//! export MCP=https://notes.example.com/mcp
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- sign-in
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- tools
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- call search '{"text": "milk"}'
//! cargo run -p reqwest-bearer-rmcp --example notes --features rustls -- sign-out
//! ```
//!
//! The MCP server names its authorization server (RFC 9728), where the program registers itself once (RFC 7591).

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest_bearer::{
    AuthorizationRequest, FileStore, LoopbackReceiver, NamedUserClient, ProtectedResource,
    RegistrationRequest, ResourceMetadata, Subject, TokenEndpoint, UserSessions,
};
use reqwest_bearer_rmcp::{McpHttpClient, http_client_builder};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};

/// For any port.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// The authorization server, and this program as its client: registered once, and kept.
async fn endpoint(api: &ProtectedResource, home: &Path) -> Result<TokenEndpoint, Box<dyn Error>> {
    let kept = home.join("client.json");
    if let Ok(text) = fs::read_to_string(&kept) {
        return Ok(api.registered(&serde_json::from_str(&text)?).await?);
    }
    let server = api.authorization_server().await?;
    let request = RegistrationRequest::new()
        .client_name("notes")
        .redirect_uri(REDIRECT_URI)
        .authentication_method("none"); // what every user has is no secret
    let client = server.register(&request).await?;
    fs::create_dir_all(home)?;
    fs::write(kept, serde_json::to_string(&client)?)?;
    Ok(server.registered(&client)?)
}

async fn sign_in(
    endpoint: &TokenEndpoint,
    users: &UserSessions,
    me: &Subject,
    metadata: &ResourceMetadata,
) -> Result<(), Box<dyn Error>> {
    let receiver = LoopbackReceiver::bind(REDIRECT_URI).await?;
    let request =
        AuthorizationRequest::new(receiver.redirect_uri()).parameters(metadata.parameters()); // the scopes and the resource, as the server names them
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
    let home = PathBuf::from(env::var("HOME")?).join(".config/notes");
    let api = ProtectedResource::new(&mcp)?;
    let (endpoint, metadata) = (endpoint(&api, &home).await?, api.metadata().await?);
    let users = UserSessions::builder(&endpoint)
        .parameters(metadata.refresh_parameters()) // MCP wants the resource in each token request
        .store(FileStore::new(home.join("tokens.json"))?)
        .build()?;
    let me = Subject::new("me")?;
    match arguments[..] {
        ["sign-in"] => sign_in(&endpoint, &users, &me, &metadata).await?,
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
