//! huskarl: a grant, its token source and cache, and the request loop of its guide, which is the program's.

use std::time::Duration;

use adapter::{Call, Failure, Library, Setup, serve};
use http::{Method, StatusCode, Uri};
use huskarl::authorizer::{HttpAuthorizer, parse_challenges};
use huskarl::cache::{
    GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache, NoSource, Recovery,
    RefreshTokenStore, TokenError,
};
use huskarl::core::OAuthErrorCode;
use huskarl::core::client_auth::ClientSecret;
use huskarl::core::secrets::{ProvidedSecret, SecretString};
use huskarl::grant::client_credentials::{
    ClientCredentialsGrant, ClientCredentialsGrantParameters,
};
use huskarl::grant::refresh::RefreshGrant;
use huskarl::token::RefreshToken;
use huskarl_reqwest::ReqwestClient;
use reqwest::redirect::Policy;

/// The setting that makes refreshes begin before a call has to wait for them; none by default.
const REFRESH_AHEAD: Duration = Duration::from_secs(60);

struct Huskarl {
    authorizer: HttpAuthorizer,
    http: reqwest::Client,
}

impl Library for Huskarl {
    async fn new(setup: Setup) -> Result<Self, String> {
        // Without redirects, as its example is.
        let http = reqwest::Client::builder().redirect(Policy::none()).build();
        let http = http.map_err(|error| error.to_string())?;
        let client = ReqwestClient::from(http.clone());
        let secret = ProvidedSecret::new(SecretString::from(setup.client_secret));
        let auth = ClientSecret::builder()
            .client_secret(secret)
            .prefer_basic_auth(true);
        let url = setup
            .token_url
            .parse()
            .map_err(|error| format!("{error}"))?;
        let store = InMemoryRefreshTokenStore::default();
        let authorizer = match setup.refresh_token {
            Some(token) => {
                let token = RefreshToken::new(SecretString::from(token), None);
                store.set(&token).await.map_err(|error| error.to_string())?;
                let grant = RefreshGrant::builder()
                    .token_endpoint(url)
                    .client_id(setup.client_id)
                    .http_client(client)
                    .client_auth(auth.build())
                    .build();
                let source = GrantTokenSource::builder()
                    .grant(grant)
                    .grant_parameters(NoSource)
                    .refresh_store(store)
                    .build();
                let cache = InMemoryTokenCache::builder().source(source);
                let cache = cache.refresh_ahead(REFRESH_AHEAD).build();
                HttpAuthorizer::builder().cache(cache).build()
            }
            None => {
                let grant = ClientCredentialsGrant::builder()
                    .token_endpoint(url)
                    .client_id(setup.client_id)
                    .http_client(client)
                    .client_auth(auth.build())
                    .build();
                let source = GrantTokenSource::builder()
                    .grant(grant)
                    .grant_parameters(ClientCredentialsGrantParameters::builder().build())
                    .refresh_store(store)
                    .build();
                let cache = InMemoryTokenCache::builder().source(source);
                let cache = cache.refresh_ahead(REFRESH_AHEAD).build();
                HttpAuthorizer::builder().cache(cache).build()
            }
        };
        Ok(Self { authorizer, http })
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        let uri: Uri = call.url.parse().expect("it is a URL");
        let method: Method = call.method.parse().expect("it is a method");
        let mut response = self.send(&method, &uri, &call).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let scope_problem = parse_challenges(response.headers())
                .iter()
                .any(|challenge| challenge.error() == Some(OAuthErrorCode::InsufficientScope));
            if !scope_problem {
                response = self.send(&method, &uri, &call).await?;
            }
        }
        Ok(response.status().as_u16())
    }

    async fn header(&self) -> bool {
        let uri = Uri::from_static("http://127.0.0.1/orders");
        let headers = self.authorizer.get_headers(&Method::GET, &uri).await;
        headers.is_ok_and(|headers| !headers.is_empty())
    }

    fn debug(&self) -> String {
        format!("{:?}", self.authorizer)
    }
}

impl Huskarl {
    async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        call: &Call,
    ) -> Result<reqwest::Response, Failure> {
        let headers = self.authorizer.get_headers(method, uri).await;
        let headers = headers.map_err(failure)?;
        let request = self
            .http
            .request(method.clone(), &call.url)
            .headers(headers);
        let response = request.body(call.body()).send().await;
        let response = response.map_err(Failure::of)?;
        self.authorizer.process_response(uri, response.headers());
        Ok(response)
    }
}

fn failure(error: TokenError) -> Failure {
    match error.recovery() {
        Recovery::Reauthenticate => Failure::ended(error),
        _ => Failure::of(error),
    }
}

fn main() {
    serve::<Huskarl>();
}
