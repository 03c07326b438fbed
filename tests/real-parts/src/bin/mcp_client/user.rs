//! The client as somebody's program: signs its user in, wherever the MCP server says.

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use reqwest_bearer::{
    AuthorizationRequest, AuthorizationServer, ClientAuthentication, DpopKey, MemoryStore,
    NamedClient, NamedUserClient, ProtectedResource, RegisteredClient, RegistrationRequest,
    ServerMetadata, StepUp, Subject, TokenEndpoint, TokenParameters, TokenSet, UserSessions,
};

use crate::Outcome;
use crate::context::Context;

/// Nobody listens here: the code is read out of the `Location` header.
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";
/// Describes this client to servers that take a URL as a client id.
const CLIENT_ID_URL: &str = "https://conformance-test.local/client-metadata.json";

#[derive(Default)]
pub(crate) struct User {
    /// What has been registered so far, each at a server of its own.
    registered: Vec<RegisteredClient>,
    /// What the sign-ins asked for, up to the present one.
    scope: String,
}

impl User {
    pub(crate) async fn sign_in(
        &mut self,
        context: &Context,
        api: &ProtectedResource,
        step_up: Option<StepUp>,
    ) -> Outcome<NamedClient> {
        let metadata = api.metadata().await?;
        let server = api.authorization_server().await?;
        // A server without a document is one from before there had to be one.
        let (server, says) = match server.metadata().await {
            Ok(says) => (server, Some(says)),
            Err(_) if metadata.resource().is_none() => (at_usual_places(api)?, None),
            Err(error) => return Err(error.into()),
        };
        let endpoint = self.endpoint(context, &server, says.as_ref()).await?;
        let request = self.request(metadata.parameters(), says.as_ref(), step_up);
        let (request, is_bound) = match &says {
            Some(says) if !says.dpop_algorithms().is_empty() => {
                (request.dpop(&DpopKey::generate()?), true)
            }
            _ => (request, false),
        };
        let tokens = by_browser(request, &endpoint).await?;

        let users = UserSessions::builder(&endpoint)
            .parameters(metadata.refresh_parameters())
            .store(MemoryStore::new());
        let users = if is_bound { users.dpop() } else { users }.build()?;
        let user = Subject::new("the user of this program")?;
        users.sign_in(&user, tokens).await?;
        let mcp = NamedUserClient::new("mcp", api.url(), &users)?;
        Ok(mcp.for_subject(&user))
    }

    /// As which client of the server: one that was made there beforehand, one that a URL describes, one that
    /// has registered itself, or one that does so now.
    async fn endpoint(
        &mut self,
        context: &Context,
        server: &AuthorizationServer,
        says: Option<&ServerMetadata>,
    ) -> Outcome<TokenEndpoint> {
        if let Some(issuer) = &context.issuer
            && issuer == server.issuer()
            && let Some(client) = context.client()?
        {
            return Ok(server.client(client)?);
        }
        if says.is_some_and(ServerMetadata::takes_client_id_urls) {
            return Ok(server.client(ClientAuthentication::none(CLIENT_ID_URL))?);
        }
        let is_of_server = |known: &&RegisteredClient| known.issuer() == server.issuer();
        if let Some(known) = self.registered.iter().find(is_of_server) {
            return Ok(server.registered(known)?);
        }
        let request = RegistrationRequest::new()
            .client_name("reqwest-bearer")
            .redirect_uri(REDIRECT_URI);
        let registered = server.register(&request).await?;
        let endpoint = server.registered(&registered)?;
        self.registered.push(registered);
        Ok(endpoint)
    }

    fn request(
        &mut self,
        wanted: TokenParameters,
        says: Option<&ServerMetadata>,
        step_up: Option<StepUp>,
    ) -> AuthorizationRequest {
        let mut request = AuthorizationRequest::new(REDIRECT_URI);
        // Only then is there a refresh token to be had for it.
        let offline = "offline_access";
        if says.is_some_and(|says| says.scopes_supported().iter().any(|scope| scope == offline)) {
            request = request.scope(offline);
        }
        if let Some(step_up) = &step_up {
            request = request.step_up(step_up);
        } else {
            self.scope.clear();
        }
        // What was granted before is not to be lost.
        self.scope += " ";
        self.scope += &wanted.scope_text().unwrap_or_default();
        request.parameters(wanted).scope(&self.scope)
    }
}

/// Opens the page as a browser would, at a server whose user says yes at once.
async fn by_browser(request: AuthorizationRequest, endpoint: &TokenEndpoint) -> Outcome<TokenSet> {
    let (url, pending) = request.start(endpoint).await?;
    let browser = Client::builder().redirect(Policy::none()).build()?;
    let page = browser.get(url).send().await?;
    let redirect = page.headers().get(LOCATION).ok_or("no redirect")?;
    Ok(pending.finish(endpoint, redirect.to_str()?).await?)
}

/// Where the first version of the protocol (2025-03-26) has the endpoints of a server that does not say.
fn at_usual_places(api: &ProtectedResource) -> Outcome<AuthorizationServer> {
    let api = Url::parse(api.url())?;
    let at = |path| api.join(path).map(String::from);
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("nobody"))
        .token_url(at("/token")?)
        .authorization_url(at("/authorize")?)
        .registration_url(at("/register")?)
        .build()?;
    Ok(AuthorizationServer::of(&endpoint))
}
