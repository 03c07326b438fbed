//! A client of the Model Context Protocol that finds its authorization server from the 401 of an MCP server,
//! gets a token there, and calls: what the conformance suite runs, with the server's URL as its last argument.
//!
//! As much of the protocol as it takes to be served: `initialize`, `notifications/initialized`, `tools/list`.

use std::env;
use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, LOCATION, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use reqwest_bearer::reqwest_middleware::RequestBuilder;
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, DpopKey, MemoryStore, NamedClient,
    NamedUserClient, SigningAlgorithm, SigningKey, Subject, TokenEndpoint, TokenParameters,
    UserSessions,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Nobody listens here: the code is read out of the `Location` header.
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// What the suite tells of the client, by an environment variable.
#[derive(Default, Deserialize)]
struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    private_key_pem: Option<String>,
}

/// Protected resource metadata (RFC 9728 section 2).
#[derive(Deserialize)]
struct Resource {
    resource: String,
    authorization_servers: Vec<String>,
}

/// Authorization server metadata (RFC 8414 section 2).
#[derive(Deserialize)]
struct Server {
    authorization_endpoint: String,
    registration_endpoint: String,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let server = env::args().next_back().ok_or("the URL of an MCP server")?;
    let context = match env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(context) => serde_json::from_str(&context)?,
        Err(_) => Context::default(),
    };
    let resource = find_resource(&server).await?;
    match context.client_id {
        Some(_) => call(&as_application(&resource, context)?).await,
        None => call(&as_user(&resource).await?).await,
    }
}

/// The metadata that the 401 to a call without a token names.
async fn find_resource(server: &str) -> Outcome<Resource> {
    let answer = Client::new()
        .post(server)
        .json(&initialize())
        .send()
        .await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Err(format!("{} in place of 401", answer.status()).into());
    }
    let challenge = answer.headers().get(WWW_AUTHENTICATE);
    let challenge = challenge.ok_or("no challenge")?.to_str()?;
    let named = challenge.split_once("resource_metadata=\"");
    let (_, named) = named.ok_or("no metadata in the challenge")?;
    let url = named.split('"').next().unwrap_or_default();
    Ok(Client::new().get(url).send().await?.json().await?)
}

fn issuer(resource: &Resource) -> Outcome<&str> {
    let first = resource.authorization_servers.first();
    Ok(first.ok_or("no authorization server")?)
}

/// An application with a token of its own, by its secret or its key.
fn as_application(resource: &Resource, context: Context) -> Outcome<NamedClient> {
    let id = context.client_id.unwrap_or_default();
    let client = match (context.private_key_pem, context.client_secret) {
        (Some(pem), _) => {
            let key = SigningKey::from_pem(pem)?.with_algorithm(SigningAlgorithm::Es256)?;
            ClientAuthentication::private_key_jwt(id, key)
        }
        (None, Some(secret)) => ClientAuthentication::client_secret_basic(id, secret),
        (None, None) => return Err("neither a key nor a secret".into()),
    };
    let endpoint = TokenEndpoint::discover(issuer(resource)?, client)?;
    let grant = ClientCredentials::new(endpoint).resource(&resource.resource);
    Ok(NamedClient::new("mcp", &resource.resource, grant)?)
}

/// A user whose session is bound to a key of its own.
async fn as_user(resource: &Resource) -> Outcome<NamedClient> {
    let issuer = issuer(resource)?;
    let http = Client::builder().redirect(Policy::none()).build()?;
    let place = format!("{issuer}/.well-known/oauth-authorization-server");
    let server: Server = http.get(place).send().await?.json().await?;
    let registration = json!({
        "client_name": "reqwest-bearer",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let registered = http.post(server.registration_endpoint).json(&registration);
    let registered: Value = registered.send().await?.json().await?;
    let id = registered["client_id"].as_str().ok_or("no client id")?;

    let key = DpopKey::generate()?;
    let verifier: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(64)
        .collect();
    let sign_in = Url::parse_with_params(
        &server.authorization_endpoint,
        [
            ("response_type", "code"),
            ("client_id", id),
            ("redirect_uri", REDIRECT_URI),
            (
                "code_challenge",
                &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)),
            ),
            ("code_challenge_method", "S256"),
            ("resource", &resource.resource),
            ("dpop_jkt", key.thumbprint()),
        ],
    )?;
    let redirect = http.get(sign_in).send().await?;
    let location = redirect.headers().get(LOCATION);
    let location = Url::parse(location.ok_or("no redirect")?.to_str()?)?;
    let code = location.query_pairs().find(|(name, _)| name == "code");
    let (_, code) = code.ok_or("no code")?;

    let endpoint = TokenEndpoint::discover(issuer, ClientAuthentication::none(id))?;
    let tokens = AuthorizationCode::new(code.into_owned())
        .redirect_uri(REDIRECT_URI)
        .code_verifier(verifier)
        .parameters(TokenParameters::new().resource(&resource.resource))
        .dpop(&key)
        .exchange(&endpoint)
        .await?;
    let users = UserSessions::builder(&endpoint).store(MemoryStore::new());
    let users = users.dpop().build()?;
    let user = Subject::new("the user of this program")?;
    users.sign_in(&user, tokens).await?;
    let mcp = NamedUserClient::new("mcp", &resource.resource, &users)?;
    Ok(mcp.for_subject(&user))
}

async fn call(mcp: &NamedClient) -> Outcome<()> {
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    for message in [initialize(), initialized, list] {
        let answer = ask(mcp.post("").json(&message)).await?;
        eprintln!("{}: {answer}", message["method"]);
    }
    Ok(())
}

async fn ask(request: RequestBuilder) -> Outcome<String> {
    let both = "application/json, text/event-stream";
    let answer = request.header(ACCEPT, both).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default(),
            "capabilities": {},
            "clientInfo": { "name": "reqwest-bearer", "version": env!("CARGO_PKG_VERSION") },
        },
    })
}
