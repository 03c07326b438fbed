//! D6: no token, secret, assertion, code or body of the authorization server in anything that the
//! crate lets out: `Debug`, `Display`, errors with their causes, events, spans, log lines and the labels of metrics.
//!
//! One program lives through everything, all of its secrets contain one word, and that word is
//! looked for. The scopes that the server grants are among them: they are a text of its own.
//!
//! Of the log lines only those of this crate are read. What hyper and reqwest write at their finest
//! levels about the bytes that they send is theirs: no crate above them can see to it, and nobody
//! turns it on by turning this crate's on.
//!
//! A program of its own, as `subscriber.rs` is: where another test meets a span for the first time
//! while a subscriber is being set up, `tracing` may remember for good that nobody listens to it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

mod support;

use std::any::type_name;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Extensions;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Request, Response};
#[cfg(feature = "dpop")]
use reqwest_bearer::DpopKey;
#[cfg(feature = "file")]
use reqwest_bearer::FileStore;
#[cfg(feature = "config")]
use reqwest_bearer::NamedClientsConfig;
use reqwest_bearer::{
    AuthorizationCode, AuthorizationRequest, AuthorizationServer, BearerChallenge, BearerToken,
    BearerTokenMiddleware, BearerTokenProvider, ClientAuthentication, ClientCredentials,
    ConstantToken, DeviceAuthorizationRequest, Error, ErrorKind, ExchangedTokens, ExpiryMargin,
    GrantFn, GrantRequest, JwtBearer, Lease, NamedClient, NamedClients, NamedExchangeClient,
    NamedTenantClient, NamedUserClient, ProtectedResource, RefreshReason, RefreshTokenGrant,
    RegistrationRequest, ResendCount, ResourceCredentials, Secret, SecretSource, StepUp,
    StoredRecord, Subject, SubjectToken, TenantSettings, TestClock, Timeouts, TokenEndpoint,
    TokenExchange, TokenFile, TokenKind, TokenOptions, TokenParameters, TokenRequest,
    TokenResponse, TokenSet, TokenSource, TokenSourceBuilder, UserSessions, Version,
    same_origin_http_client,
};
#[cfg(feature = "encryption")]
use reqwest_bearer::{EncryptedStore, EncryptionKeys};
#[cfg(feature = "signing")]
use reqwest_bearer::{
    GoogleServiceAccount, Jws, PublicJwk, SigningAlgorithm, SigningKey, SigningKeyFile,
    SigningKeySource,
};
#[cfg(feature = "redis")]
use reqwest_bearer::{Protection, RedisStore};
use reqwest_middleware::{Middleware, Next};
use serde_json::json;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

use crate::support::api::Api;
use crate::support::http_server::{HttpServer, Reply, Seen};
use crate::support::recorder::Recorder;
use crate::support::store::{Call, FragileStore, Mode};
use crate::support::while_time_passes;

/// What every secret of this program contains, as it is and as Base64 has it at each offset.
const CANARIES: [&str; 4] = ["canary", "Y2FuYXJ5", "NhbmFye", "jYW5hcn"];

const CLIENT_SECRET: &str = "canary-client-secret";

/// Everything that was let out.
#[derive(Clone, Default)]
struct Outputs(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    text: String,
    /// Secrets that have no canary in them.
    secrets: Vec<String>,
    /// The public types that were shown.
    types: BTreeSet<&'static str>,
}

impl Outputs {
    fn show<T: Debug>(&self, value: &T) {
        self.say(format!("{value:?}\n{value:#?}"));
        let path = type_name::<T>();
        // Without its lifetimes.
        let path = path.split('<').next().unwrap_or(path);
        let name = path.rsplit("::").next().unwrap_or(path);
        self.0.lock().unwrap().types.insert(name);
    }

    fn show_error(&self, error: &(impl StdError + 'static)) {
        self.show(error);
        let mut next: Option<&dyn StdError> = Some(error);
        while let Some(cause) = next {
            self.say(format!("{cause}\n{cause:#}\n{cause:?}\n{cause:#?}"));
            next = cause.source();
        }
    }

    /// The error that this must be.
    #[track_caller]
    fn show_failure<T>(&self, outcome: Result<T, Error>) -> ErrorKind {
        let Err(error) = outcome else {
            panic!("succeeded");
        };
        self.show_words(&error);
        error.kind()
    }

    /// An error of ours, with what it says of the server's own words unless it is asked for them.
    fn show_words(&self, error: &Error) {
        self.show_error(error);
        if let Some(response) = error.error_response() {
            self.show(response);
        }
    }

    /// A secret that must be in nothing of all this, as it is and as numbers.
    fn must_not_say(&self, secret: &str) {
        let numbers = format!("{:?}", secret.as_bytes());
        let secrets = [
            secret.to_owned(),
            numbers.trim_matches(['[', ']']).to_owned(),
        ];
        self.0.lock().unwrap().secrets.extend(secrets);
    }

    fn say(&self, text: impl Display) {
        self.0.lock().unwrap().text += &format!("{text}\n");
    }
}

impl io::Write for Outputs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().text += &String::from_utf8_lossy(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What middleware after ours shows of a request.
#[async_trait::async_trait]
impl Middleware for Outputs {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        self.say(format!("{request:?}\n{:?}", request.headers()));
        if let Some(count) = extensions.get::<ResendCount>() {
            self.show(count);
        }
        next.run(request, extensions).await
    }
}

/// An answer of a server that repeats in it what it was sent.
type Gossip = fn(&Seen) -> Option<Reply>;

/// An authorization server whose every word is a secret.
struct GossipingServer {
    http: HttpServer,
    script: Arc<Mutex<VecDeque<Gossip>>>,
    /// Which client assertions and proofs came.
    assertions: Arc<Mutex<Vec<String>>>,
}

impl GossipingServer {
    async fn start() -> Self {
        let script = Arc::new(Mutex::new(VecDeque::<Gossip>::new()));
        let answers = script.clone();
        let assertions: Arc<Mutex<Vec<String>>> = Arc::default();
        let came = assertions.clone();
        let http = HttpServer::start(move |seen| {
            let proof = seen.headers.get("dpop").map(HeaderValue::to_str);
            let proof = proof.map(|proof| proof.unwrap().to_owned());
            let signed = seen.field("client_assertion").into_iter().chain(proof);
            came.lock().unwrap().extend(signed);
            let scripted = answers.lock().unwrap().pop_front();
            let answer = scripted.map_or_else(|| Some(tokens(&seen)), |answer| answer(&seen));
            async move { answer }
        })
        .await;
        Self {
            http,
            script,
            assertions,
        }
    }

    fn then(&self, answer: Gossip) {
        self.script.lock().unwrap().push_back(answer);
    }

    fn endpoint(&self, authentication: ClientAuthentication) -> TokenEndpoint {
        TokenEndpoint::builder(authentication)
            .token_url(format!("{}/token", self.http.url()))
            .revocation_url(format!("{}/revoke", self.http.url()))
            .build()
            .unwrap()
    }
}

fn tokens(seen: &Seen) -> Reply {
    // Another one for each that was handed in.
    let spent = seen.field("refresh_token").unwrap_or_default();
    let is_proven = seen.headers.contains_key("dpop");
    Reply::new(200).json(&json!({
        "access_token": format!("canary-access{}", spent.len()),
        "refresh_token": format!("canary-refresh-{spent}"),
        "id_token": "canary.id.token",
        "token_type": if is_proven { "DPoP" } else { "Bearer" },
        "expires_in": 600,
        "scope": "canary-scope",
        "canary-member": "canary-value",
    }))
}

fn echo(seen: &Seen) -> String {
    format!("canary <html> {seen:?}")
}

/// All the ways in which a token request fails, and which kind of error that is.
const FAILURES: [(Gossip, ErrorKind); 16] = [
    (
        |seen| {
            let answer = json!({ "error": "invalid_client", "error_description": echo(seen), "error_uri": "https://canary" });
            Some(
                Reply::new(401)
                    .json(&answer)
                    .header("www-authenticate", "Bearer canary"),
            )
        },
        ErrorKind::Rejected,
    ),
    (
        |seen| {
            Some(
                Reply::new(400)
                    .json(&json!({ "error": "canary_code", "error_description": echo(seen) })),
            )
        },
        ErrorKind::Rejected,
    ),
    (
        |seen| {
            Some(
                Reply::new(400)
                    .json(&json!({ "error": "invalid_grant", "error_description": echo(seen) })),
            )
        },
        ErrorKind::SignInRequired,
    ),
    (
        |seen| Some(Reply::new(400).json(&json!({ "error": { "canary": echo(seen) } }))),
        ErrorKind::Rejected,
    ),
    (
        |seen| {
            let answer = json!({
                "error": "invalid_grant", "suberror": "basic_action", "claims": echo(seen),
                "error_description": echo(seen),
            });
            Some(Reply::new(400).json(&answer))
        },
        ErrorKind::SignInRequired,
    ),
    (
        |_| {
            let answer = "error=invalid_client&error_description=canary&access_token=canary";
            Some(
                Reply::new(401)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(answer),
            )
        },
        ErrorKind::Rejected,
    ),
    (
        |_| {
            let broken = "{\"error\":\"canary\",\"x\":\"canary\n\",\"access_token\":\"canary\"}";
            Some(Reply::new(400).body(broken))
        },
        ErrorKind::Rejected,
    ),
    (
        |_| Some(Reply::new(400).json(&json!({ "error": "invalid_grant: canary" }))),
        ErrorKind::SignInRequired,
    ),
    (
        |seen| {
            Some(
                Reply::new(403)
                    .header("content-type", "text/html")
                    .body(echo(seen)),
            )
        },
        ErrorKind::Protocol,
    ),
    (
        |seen| {
            Some(
                Reply::new(200)
                    .header("content-type", "text/html")
                    .body(echo(seen)),
            )
        },
        ErrorKind::Protocol,
    ),
    (
        |_| {
            Some(Reply::new(200).json(&json!({ "access_token": "canary-a", "token_type": "DPoP" })))
        },
        ErrorKind::Protocol,
    ),
    (
        |_| {
            Some(
                Reply::new(200)
                    .json(&json!({ "access_token": "canary\r\n", "token_type": "Bearer" })),
            )
        },
        ErrorKind::Protocol,
    ),
    (
        |_| Some(Reply::new(302).header("location", "https://canary/canary")),
        ErrorKind::Protocol,
    ),
    (
        |seen| Some(Reply::new(500).body(echo(seen))),
        ErrorKind::Unavailable,
    ),
    (
        |seen| {
            Some(
                Reply::new(503)
                    .header("retry-after", "60")
                    .header("x-canary", "canary")
                    .body(echo(seen)),
            )
        },
        ErrorKind::Unavailable,
    ),
    (|_| None, ErrorKind::Unavailable),
];

/// What a server of bound tokens says besides: that the proof is of ten minutes ago, ...
#[cfg(feature = "dpop")]
const BAD_DATE: Gossip = |seen| {
    let answer = json!({ "error": "invalid_dpop_proof", "error_description": echo(seen) });
    let reply = Reply::new(400).header("date", "Thu, 01 Jan 2026 00:10:00 GMT");
    Some(reply.json(&answer))
};

/// ... that it wants a nonce, which cannot be sent, ...
#[cfg(feature = "dpop")]
const BAD_NONCE: Gossip = |seen| Some(nonce_wanted(seen, "canary nonce"));

/// ... and one that can.
#[cfg(feature = "dpop")]
const NONCE: Gossip = |seen| Some(nonce_wanted(seen, "canary-1"));

#[cfg(feature = "dpop")]
const OTHER_NONCE: Gossip = |seen| Some(nonce_wanted(seen, "canary-2"));

#[cfg(feature = "dpop")]
fn nonce_wanted(seen: &Seen, nonce: &str) -> Reply {
    let answer = json!({ "error": "use_dpop_nonce", "error_description": echo(seen) });
    Reply::new(400).header("dpop-nonce", nonce).json(&answer)
}

/// What an API says of a proof.
#[cfg(feature = "dpop")]
fn refused_proof(error: &str) -> Reply {
    let challenge = format!(r#"DPoP error="{error}", error_description="canary", algs="canary""#);
    Reply::new(401)
        .header("dpop-nonce", "canary nonce")
        .header("www-authenticate", challenge)
        .body("canary")
}

fn basic() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("client", CLIENT_SECRET)
}

/// A program with all that the tests below go through.
struct Program {
    outputs: Outputs,
    server: GossipingServer,
    api: Api,
    clock: TestClock,
}

impl Program {
    async fn new(outputs: Outputs) -> Self {
        Self {
            outputs,
            server: GossipingServer::start().await,
            api: Api::that_takes(|_| true).await,
            clock: TestClock::new(),
        }
    }

    fn builder(&self, tokens: TokenSet) -> TokenSourceBuilder {
        let grant = RefreshTokenGrant::from_token_set(self.server.endpoint(basic()), tokens);
        let (events, saving) = (self.outputs.clone(), self.outputs.clone());
        TokenSource::builder(grant)
            .clock(&self.clock)
            .on_event(move |event| events.show(event))
            .on_new_refresh_token(move |refresh_token| {
                saving.show(&refresh_token);
                async { Err::<(), _>("canary: cannot be saved") }
            })
    }

    fn http() -> reqwest::ClientBuilder {
        // A key of another kind, that somebody forgot to mark as sensitive.
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("canary-key"));
        reqwest::Client::builder().default_headers(headers)
    }

    fn client(&self, source: &TokenSource) -> NamedClient {
        NamedClient::builder("api", self.api.url(), source)
            .http(Self::http())
            .after(self.outputs.clone())
            .build()
            .unwrap()
    }

    fn user_client(&self, users: &UserSessions) -> NamedUserClient {
        NamedUserClient::builder("api", self.api.url(), users)
            .http(Self::http())
            .after(self.outputs.clone())
            .build()
            .unwrap()
    }

    async fn sign_in(&self) -> TokenSet {
        let code = || {
            AuthorizationCode::new("canary-code")
                .redirect_uri("https://app.test/")
                .code_verifier("canary-verifier")
        };
        let endpoint = self.server.endpoint(basic());
        self.outputs.show(&code());
        for (failure, _) in FAILURES {
            self.server.then(failure);
            self.outputs.show_failure(code().exchange(&endpoint).await);
        }
        let tokens = code().exchange(&endpoint).await.unwrap();
        self.outputs.show(&tokens);
        tokens
    }

    async fn call_and_be_refused(&self, tokens: &TokenSet) {
        let refusal = concat!(
            r#"Bearer error="canary_error", error_description="canary", realm="canary", "#,
            r#"claims="canary", acr_values="canary", scope="a""#
        );
        let source = self.builder(tokens.clone()).build().unwrap();
        let client = self.client(&source);
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
        for status in [401, 403] {
            let reply = Reply::new(status).header("www-authenticate", refusal);
            self.api.always(reply);
            let refused = client.get("x").send().await.unwrap();
            let challenge = refused.extensions().get::<BearerChallenge>();
            self.outputs.show(challenge.unwrap());
        }
        // `{"canary":1}`
        let step_up = r#"Bearer error="insufficient_user_authentication", acr_values="canary", claims="eyJjYW5hcnkiOjF9""#;
        self.api
            .then(Reply::new(401).header("www-authenticate", step_up));
        let refused = client.get("x").send().await.unwrap();
        let step_up = StepUp::find_in(&refused).unwrap();
        assert!(step_up.claims().unwrap().contains("canary"));
        self.outputs.show(&step_up);
        self.api.mend();
        let token = source.token().await.unwrap();
        source.invalidate(&token);
        for shown in [token, source.token().await.unwrap()] {
            self.outputs.show(&shown);
        }
        self.outputs.show(&source);
        self.outputs.show(&source.status());
        self.outputs.show(&client);
        self.outputs.show(&NamedClients::new([client]).unwrap());
        let endpoint = self.server.endpoint(basic());
        let refresh_token = tokens.refresh_token().unwrap();
        let revoke = || endpoint.revoke(refresh_token, TokenKind::RefreshToken);
        for (failure, kind) in FAILURES {
            self.server.then(failure);
            if let Err(error) = revoke().await {
                self.outputs.show_words(&error);
            } else {
                // To a revocation any 200 is a success.
                assert_eq!(kind, ErrorKind::Protocol);
            }
        }
        revoke().await.unwrap();
    }

    async fn fail_in_every_way(&self, tokens: &TokenSet) {
        let refresh_token = tokens.refresh_token().unwrap();
        let expired = TokenSet::from_refresh_token(refresh_token.clone());
        for (number, (failure, kind)) in FAILURES.into_iter().enumerate() {
            // With a token at hand: the answer of the API, and the reason beside it.
            let source = self.builder(tokens.clone()).build().unwrap();
            self.server.then(failure);
            self.api.then(Reply::new(401));
            let refused = self.client(&source).get("x").send().await.unwrap();
            assert_eq!(refused.status(), 401);
            let reason = refused.extensions().get::<Error>().unwrap();
            assert_eq!(reason.kind(), kind, "{number}");
            self.outputs.show_words(reason);
            self.outputs.show(&source.status());
            // Without one: an error of the request.
            let source = self.builder(expired.clone()).build().unwrap();
            self.server.then(failure);
            let error = self.client(&source).get("x").send().await.unwrap_err();
            self.outputs.show_error(&error);
            let own = Error::find_in(&error).unwrap();
            assert_eq!(own.kind(), kind, "{number}");
            self.outputs.show_words(own);
            self.outputs.show(&source);
        }
    }

    async fn authenticate_in_every_way(&self) {
        let function = || {
            SecretSource::from_fn(|| async {
                Ok::<_, Infallible>(Secret::new("canary-from-a-function"))
            })
        };
        let file = std::env::temp_dir().join(format!("reqwest-bearer-d6-{}", std::process::id()));
        std::fs::write(&file, "canary file").unwrap();
        for authentication in [
            ClientAuthentication::client_secret_basic_raw("client", CLIENT_SECRET),
            ClientAuthentication::client_secret_post("client", function()),
            ClientAuthentication::client_assertion("client", "canary.signed.assertion"),
            ClientAuthentication::client_assertion("client", SecretSource::file(&file)),
            ClientAuthentication::none("client"),
        ] {
            self.outputs.show(&authentication);
            let endpoint = self.server.endpoint(authentication);
            self.outputs.show(&endpoint);
            let grant = ClientCredentials::new(endpoint).scope("a");
            self.outputs.show(&grant);
            let (refused, _) = FAILURES[0];
            self.server.then(refused);
            let source = TokenSource::from(grant);
            self.outputs.show_failure(source.token().await);
        }
        // What the hook sees is the server's answer.
        let outputs = self.outputs.clone();
        let endpoint = TokenEndpoint::builder(basic())
            .token_url(format!("{}/token", self.server.http.url()))
            .translate_answers(move |answer| {
                outputs.show(answer);
                None
            });
        self.outputs.show(&endpoint);
        self.server.then(|seen| Some(tokens(seen)));
        let source = TokenSource::from(ClientCredentials::new(endpoint.build().unwrap()));
        source.token().await.unwrap();
        // A file with something in it that is no token.
        let source = TokenSource::from(TokenFile::new(&file));
        self.outputs.show(&TokenFile::new(&file));
        self.outputs.show_failure(source.token().await);
        std::fs::remove_file(&file).unwrap();
        self.outputs
            .show_failure(source.token_with(&TokenOptions::new().scope("b")).await);
        self.outputs.show(&function());
    }

    async fn discover_in_vain(&self) {
        let documents: [Gossip; 3] = [
            |seen| Some(Reply::new(200).body(echo(seen))),
            |_| {
                Some(Reply::new(200).json(
                    // With a password, since an issuer without one is public and is named.
                    &json!({ "issuer": "https://me:canary@as.test", "token_endpoint": "https://canary" }),
                ))
            },
            |seen| Some(Reply::new(404).body(echo(seen))),
        ];
        for document in documents {
            // The two places where it may be.
            self.server.then(document);
            self.server.then(document);
            let endpoint = TokenEndpoint::discover(self.server.http.url(), basic()).unwrap();
            self.outputs.show(&endpoint);
            let code = AuthorizationCode::new("canary-code");
            self.outputs.show_failure(code.exchange(&endpoint).await);
        }
    }

    /// What hooks are shown, and what the clients show that they need.
    async fn be_asked_by_hooks(&self) {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("canary-api-key"));
        let http = reqwest::Client::builder().default_headers(headers.clone());
        self.outputs.show(&same_origin_http_client(http).unwrap());
        // What nobody has asked for so far.
        self.server.script.lock().unwrap().clear();
        for translation in [Some(json!({ "access_token": "canary-translated" })), None] {
            let (asked, headers) = (self.outputs.clone(), headers.clone());
            let endpoint = TokenEndpoint::builder(basic())
                .token_url(self.server.http.url())
                .request_headers(move || headers.clone())
                .translate_answers(move |answer| {
                    asked.show(answer);
                    assert!(translation.is_some(), "canary, on purpose");
                    translation.clone()
                });
            self.outputs.show(&endpoint);
            self.server
                .then(|seen| Some(Reply::new(200).json(&json!({ "canary": echo(seen) }))));
            let grant = ClientCredentials::new(endpoint.build().unwrap());
            let outputs = self.outputs.clone();
            let source = TokenSource::builder(grant)
                .refused_when_answered(move |answer| {
                    outputs.show(answer);
                    false
                })
                .build()
                .unwrap();
            let client = NamedClient::builder("hooks", self.api.url(), source)
                .header("X-Access")
                .scheme("token");
            self.outputs.show(&client);
            let client = client.build().unwrap();
            self.outputs.show(&client);
            let answer = client.get("x?key=canary-in-a-query").send().await;
            let status = answer.map(|answer| answer.status());
            self.outputs.say(format!("{status:?}"));
        }
    }

    async fn call_for_tenants(&self) {
        let url = "https://canary-user:canary-password@h.test";
        let api = self.api.url().to_owned();
        let settings = move |at: &str| {
            let grant = GrantFn::new("tenants", |_| async {
                Ok(TokenResponse::bearer("canary-of-a-tenant"))
            });
            TenantSettings::new(grant).base_url(at).origin(at)
        };
        self.outputs.show(&settings(url));
        let tenants = move |tenant: String| {
            let settings = match tenant.as_str() {
                "canary-wrong" => settings(url),
                _ => settings(&api),
            };
            async move {
                assert!(tenant != "canary-panics", "canary, on purpose");
                Ok::<_, Error>(settings)
            }
        };
        let wrong = NamedTenantClient::builder("tenants", tenants.clone()).base_url("canary:");
        self.outputs.show(&wrong);
        self.outputs.show_failure(wrong.build());
        let client = NamedTenantClient::new("tenants", tenants).unwrap();
        let tenant = client.for_tenant("canary").await.unwrap();
        self.outputs.show(&tenant);
        let mut watch = tenant.source().keep_fresh().unwrap();
        self.outputs.show(&watch);
        self.outputs.show(&watch.changed().await.unwrap());
        self.outputs.show(&watch);
        for (name, expected) in [
            ("canary-wrong", ErrorKind::Settings),
            ("canary-panics", ErrorKind::Panicked),
            ("", ErrorKind::UnknownName),
        ] {
            let kind = self.outputs.show_failure(client.for_tenant(name).await);
            assert_eq!(kind, expected);
        }
        client.remove("canary").await.unwrap();
        self.outputs.show_failure(watch.changed().await);
        self.outputs.show(&client);
    }

    async fn call_for_callers(&self) {
        let client = ClientAuthentication::client_secret_post("client", CLIENT_SECRET);
        let endpoint = self.server.endpoint(client);
        let exchange = TokenExchange::new(endpoint.clone()).actor_token("canary-actor");
        let caller = SubjectToken::new("canary-of-a-caller").unwrap();
        let caller = caller.actor("canary-of-an-actor").unwrap();
        self.outputs.show(&caller);
        self.outputs
            .show_failure(SubjectToken::new("canary of nobody"));
        let events = self.outputs.clone();
        for exchange in [exchange.clone(), exchange.without_issued_token_type()] {
            let fixed = exchange.clone().subject_token("canary-own");
            self.outputs.show(&fixed);
            self.outputs.show_failure(ExchangedTokens::new(fixed));
            let events = events.clone();
            let builder = ExchangedTokens::builder(exchange).clock(&self.clock);
            let builder = builder.on_event(move |event| events.show(event));
            self.outputs.show(&builder);
            let tokens = builder.build().unwrap();
            let named = NamedExchangeClient::builder("callers", self.api.url(), &tokens);
            self.outputs.show(&named);
            self.outputs.show(&named.build().unwrap());
            let source = tokens.for_subject_token(&caller);
            match source.token().await {
                Ok(token) => self.outputs.show(&token),
                Err(error) => self.outputs.show_words(&error),
            }
            self.outputs.show(&source);
            self.outputs.show(&tokens);
        }
        let grant = JwtBearer::new(endpoint, "canary-assertion");
        self.outputs.show(&grant);
        self.outputs
            .show(&TokenSource::from(grant).token().await.ok());
        #[cfg(feature = "signing")]
        {
            let pem = include_str!("signing/keys/rsa_pkcs8.pem");
            for line in pem.lines().filter(|line| !line.contains("--")) {
                self.outputs.must_not_say(line);
            }
            let json = json!({
                "client_email": "worker@example.com", "private_key": pem,
                "token_uri": "https://canary-user:canary-password@h.test",
            });
            let account = GoogleServiceAccount::from_json(&json.to_string()).unwrap();
            self.outputs.show(&account);
            self.outputs.show(&account.assertion().scope("canary"));
            self.outputs.show(&account.self_signed("canary"));
            self.outputs.show_failure(account.scope("canary"));
            self.outputs
                .show_failure(GoogleServiceAccount::from_json(r#"{"canary":"canary"}"#));
        }
    }

    async fn panic(&self) {
        let grant = GrantFn::new("panics", |_| async { panic!("canary, on purpose") });
        self.outputs.show(&grant);
        let source = TokenSource::builder(grant).clock(&self.clock);
        let source = source.build().unwrap();
        let kind = self.outputs.show_failure(source.token().await);
        assert_eq!(kind, ErrorKind::Panicked);
    }

    async fn be_set_up_wrongly(&self) {
        let url = "https://canary-user:canary-password@h.test";
        let source = TokenSource::from(ConstantToken::new("canary-constant").unwrap());
        self.outputs
            .show(&ConstantToken::new("canary-constant").unwrap());
        let middleware = BearerTokenMiddleware::builder(&source).origin(url);
        self.outputs.show(&middleware);
        self.outputs.show_failure(middleware.build());
        let named = NamedClient::builder("api", url, &source).origin(url);
        self.outputs.show(&named);
        self.outputs.show_failure(named.build());
        let endpoint = TokenEndpoint::builder(basic()).token_url(url).issuer(url);
        self.outputs.show(&endpoint);
        self.outputs.show_failure(endpoint.build());
        for text in [url, "canary is no url", "canary://canary"] {
            self.outputs.show_failure(TokenEndpoint::new(text, basic()));
            self.outputs
                .show_failure(TokenEndpoint::discover(text, basic()));
            self.outputs
                .show_failure(BearerTokenMiddleware::for_origin(text, &source));
            self.outputs
                .show_failure(NamedClient::new("api", text, &source));
        }
        let middleware = BearerTokenMiddleware::for_any_origin(&source);
        self.outputs.show(&middleware);
        let client = self.client(&source);
        for path in [
            "//canary",
            "../canary",
            "https:canary",
            "canary://x",
            "canary\t",
        ] {
            let error = client.get(path).send().await.unwrap_err();
            self.outputs.show_error(&error);
            self.outputs.show_error(Error::find_in(&error).unwrap());
        }
    }

    /// What a library takes that sends by itself.
    async fn hand_tokens_out(&self, tokens: &TokenSet) {
        let source = self.builder(tokens.clone()).build().unwrap();
        let token = source.bearer_token().await.unwrap();
        assert!(token.expose().starts_with("canary"));
        self.outputs.show(&token);
        let provider: Arc<dyn BearerTokenProvider> = Arc::new(source);
        self.outputs.say(format!("{provider:?}"));
        self.outputs
            .show_failure(BearerToken::new("canary and a blank"));
    }

    /// A configuration with secrets at the right places and at wrong ones.
    #[cfg(feature = "config")]
    fn be_configured_wrongly(&self) {
        let config = json!({
            "servers": { "login": {
                "token_url": "https://canary-user:canary-password@h.test/token",
                "client_id": "me",
                "client_secret": { "inline": "canary-secret" },
                "unknown": "canary",
            } },
            "clients": { "orders": {
                "base_url": "https://canary-user:canary-password@h.test",
                "server": "login",
                "audience": { "unknown": "canary" },
            } },
        });
        let config: NamedClientsConfig = serde_json::from_value(config).unwrap();
        self.outputs.show(&config);
        let builder = config.builder();
        self.outputs.show(&builder);
        self.outputs.show_failure(builder.build());
    }

    /// A life with users, whose ids are secrets too, over a store that fails in each of its calls.
    async fn serve_users(&self, tokens: &TokenSet) {
        let store = FragileStore::new(&self.clock);
        let events = self.outputs.clone();
        let users = UserSessions::builder(&self.server.endpoint(basic()))
            .store(store.clone())
            .clock(&self.clock)
            .on_event(move |event| events.show(event));
        self.outputs.show(&users);
        let users = users.build().unwrap();
        let subject = Subject::new("canary-session").unwrap();
        self.outputs.show(&subject);
        self.outputs.show_failure(Subject::new(" "));
        self.outputs
            .show_failure(Subject::new("canary".repeat(1_000)));
        let client = self.user_client(&users);
        self.outputs.show(&users);
        let of_task = users.for_current_subject();
        for source in [users.for_subject(&subject), of_task] {
            self.outputs.show_failure(source.token().await);
        }
        for request in [client.for_subject(&subject).get("x"), client.get("x")] {
            self.outputs.show_error(&request.send().await.unwrap_err());
        }
        self.outputs.show(&client);
        let builder = NamedUserClient::builder("api", self.api.url(), &users);
        self.outputs.show(&builder.http(Self::http()));
        self.outputs
            .show(&reqwest_bearer::http_client(Self::http()).unwrap());
        self.outputs
            .show(&reqwest_bearer::same_origin_http_client(Self::http()).unwrap());
        self.outputs.show(&reqwest_bearer::Delivery::NotSent);
        self.outputs
            .show(&reqwest_bearer::TokenOwner::User(subject.clone()));
        users.sign_in(&subject, tokens.clone()).await.unwrap();
        let key = store.last_key();
        self.outputs.show(&key);
        self.outputs.show(&store.record(&key).await.unwrap());
        self.outputs.show(store.memory());
        let status = users.status_of(&subject).await.unwrap().unwrap();
        self.outputs.show(&status);
        self.outputs.show(&status.access_tokens()[0]);
        let of_user = client.for_subject(&subject);
        self.outputs.show(&of_user);
        let call = subject.run(client.get("x").send());
        assert_eq!(call.await.unwrap().status(), 200);
        for call in [Call::Load, Call::Save, Call::Lease, Call::Remove] {
            self.clock.advance(Duration::from_secs(601));
            for mode in [Mode::Failing(call), Mode::Panicking(call), Mode::Down] {
                store.be(mode);
                let outcome = of_user.get("x").send().await;
                if let Err(error) = outcome {
                    self.outputs.show_error(&error);
                }
                self.outputs.show(&of_user.source().status());
                if call == Call::Remove {
                    self.outputs.show_failure(users.sign_out(&subject).await);
                }
                self.clock.advance(Duration::from_secs(10));
            }
            store.be(Mode::Well);
        }
        store.overwrite(&key, b"canary").await;
        self.outputs
            .show_failure(users.for_subject(&subject).token().await);
        users.sign_in(&subject, tokens.clone()).await.unwrap();
        let (refused, _) = FAILURES[0];
        self.server.then(refused);
        let sign_out = users.sign_out(&subject).await.unwrap();
        self.outputs.show(&sign_out);
        self.outputs.show(&sign_out.outcome().await);
        let version: Version = Version::random().unwrap();
        self.outputs.show(&version);
        self.outputs.show_failure("canary".parse::<Version>());
        self.outputs.show(&StoredRecord::new(version, "canary"));
        self.outputs
            .show(&Lease::new(Duration::from_secs(1)).unwrap());
        #[cfg(feature = "encryption")]
        {
            let keys = || EncryptionKeys::new("id", b"canary-canary-canary-canary-cana").unwrap();
            self.outputs.show(&keys());
            self.outputs
                .show(&EncryptedStore::new(store.clone(), keys()));
            self.outputs
                .show_failure(EncryptionKeys::new("id", b"canary"));
            self.outputs
                .show_failure("id:canary".parse::<EncryptionKeys>());
        }
        #[cfg(feature = "redis")]
        {
            self.outputs.show(&Protection::plain_text());
            let url = "redis://canary:canary@192.0.2.1";
            let builder = RedisStore::builder(url, Protection::plain_text());
            self.outputs.show(&builder);
            self.outputs.show(&builder.build().unwrap());
            let bad = RedisStore::open("canary://canary", Protection::plain_text());
            self.outputs.show_failure(bad);
        }
        #[cfg(feature = "file")]
        self.outputs.show(&FileStore::new("tokens.json").unwrap());
    }

    /// What is kept until the redirect has secrets in it, so those that come are learnt.
    async fn begin_sign_ins(&self) {
        let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
            .token_url("https://login.invalid/token")
            .authorization_url("https://login.invalid/authorize")
            .build()
            .unwrap();
        let request = AuthorizationRequest::new("https://app.invalid/callback")
            .scope("openid")
            .extra("login_hint", "canary");
        self.outputs.show(&request);
        let (_, pending) = request.start(&endpoint).await.unwrap();
        let kept = serde_json::to_value(&pending).unwrap();
        let kept = ["state", "code_verifier", "nonce"].map(|name| kept[name].as_str().unwrap());
        let learnt = kept.map(ToOwned::to_owned);
        self.outputs.0.lock().unwrap().secrets.extend(learnt);
        self.outputs.show(&pending);
        let [state, ..] = kept;
        for redirect in [
            "code=canary&state=canary".to_owned(),
            "canary".to_owned(),
            format!("error=canary&error_description=canary&state={state}"),
            format!("code=canary&code=canary&state={state}"),
        ] {
            let finished = pending.finish(&endpoint, &redirect).await;
            self.outputs.show_failure(finished);
        }
        #[cfg(feature = "loopback")]
        {
            let receiver = reqwest_bearer::LoopbackReceiver::bind("http://127.0.0.1/callback");
            self.outputs.show(&receiver.await.unwrap());
        }
    }

    /// A user signs in on another device, and the server gossips.
    async fn sign_in_on_a_device(&self) {
        self.server.script.lock().unwrap().clear();
        let clock = TestClock::new();
        let endpoint = TokenEndpoint::builder(basic())
            .token_url(self.server.http.url())
            .device_authorization_url(self.server.http.url())
            .clock(&clock)
            .build()
            .unwrap();
        let request = DeviceAuthorizationRequest::new().extra("login_hint", "canary");
        self.outputs.show(&request);
        let bad: [Gossip; 2] = [
            |_| Some(Reply::new(200).json(&json!({ "device_code": "canary" }))),
            |seen| Some(Reply::new(400).json(&json!({ "error": echo(seen) }))),
        ];
        for bad in bad {
            self.server.then(bad);
            self.outputs.show_failure(request.start(&endpoint).await);
        }
        self.server.then(|_| {
            let codes = json!({
                "device_code": "canary-device-code",
                "user_code": "canary-user-code",
                "verification_uri": "https://canary.test/",
            });
            Some(Reply::new(200).json(&codes))
        });
        let mut pending = request.start(&endpoint).await.unwrap();
        self.outputs.show(&pending);
        let refused: [Gossip; 3] = [
            |seen| Some(Reply::new(400).json(&json!({ "error": echo(seen) }))),
            |seen| {
                let answer = json!({
                    "error": "access_denied",
                    "error_description": echo(seen),
                    "device_code": "canary-device-code",
                });
                Some(Reply::new(400).json(&answer))
            },
            |seen| Some(Reply::new(200).body(echo(seen))),
        ];
        for refused in refused {
            self.server.then(refused);
            let finished = while_time_passes(&clock, pending.finish(&endpoint)).await;
            self.outputs.show_failure(finished);
            self.outputs.show(&pending);
        }
        let tokens = while_time_passes(&clock, pending.finish(&endpoint)).await;
        self.outputs.show(&tokens.unwrap());
    }

    /// An API that is its own authorization server, and registers clients.
    async fn find_servers(&self) {
        fn of_api(seen: &Seen) -> Option<Reply> {
            let host = format!("http://{}", seen.headers["host"].to_str().unwrap());
            Some(Reply::new(200).json(&json!({
                "resource": host,
                "authorization_servers": [host],
                "scopes_supported": ["canary"],
                "resource_name": echo(seen),
            })))
        }
        fn of_server(seen: &Seen) -> Option<Reply> {
            let host = format!("http://{}", seen.headers["host"].to_str().unwrap());
            Some(Reply::new(200).json(&json!({
                "issuer": host,
                "token_endpoint": format!("{host}/token?canary"),
                "registration_endpoint": format!("{host}/register?canary"),
                "scopes_supported": ["canary"],
            })))
        }
        self.server.script.lock().unwrap().clear();
        let builder = ProtectedResource::builder(self.server.http.url());
        self.outputs.show(&builder);
        let api = builder.build().unwrap();
        self.outputs.show(&api);
        let failures: [Gossip; 3] = [
            |seen| Some(Reply::new(200).body(echo(seen))),
            |seen| Some(Reply::new(200).json(&json!({ "resource": echo(seen) }))),
            |seen| Some(Reply::new(503).body(echo(seen))),
        ];
        for failure in failures {
            self.server.then(failure);
            self.outputs.show_failure(api.renew().await);
        }
        self.server.then(of_api);
        self.outputs.show(&api.renew().await.unwrap());
        self.outputs
            .show_failure(api.authorization_server_named("https://as.test").await);
        let server = api.authorization_server().await.unwrap();
        self.outputs.show(&server);
        self.server.then(of_server);
        self.outputs.show(&server.metadata().await.unwrap());
        let request = RegistrationRequest::new()
            .software_statement("canary")
            .member("logo_uri", "canary")
            .initial_access_token("canary");
        self.outputs.show(&request);
        let failures: [Gossip; 3] = [
            |seen| Some(Reply::new(400).json(&json!({ "error": echo(seen) }))),
            |seen| Some(Reply::new(201).json(&json!({ "client_secret": echo(seen) }))),
            |seen| Some(Reply::new(201).body(echo(seen))),
        ];
        for failure in failures {
            self.server.then(failure);
            self.outputs.show_failure(server.register(&request).await);
        }
        self.server.then(|seen| {
            Some(Reply::new(201).json(&json!({
                "client_id": "me",
                "client_secret": CLIENT_SECRET,
                "registration_access_token": "canary",
                "client_name": echo(seen),
            })))
        });
        let registered = server.register(&request).await.unwrap();
        self.outputs.show(&registered);
        self.outputs.show(&server.registered(&registered).unwrap());
        let elsewhere = AuthorizationServer::discover("https://as.test").unwrap();
        self.outputs.show_failure(elsewhere.registered(&registered));
        let grant = ResourceCredentials::new(&api, |_| Some(basic()));
        self.outputs.show(&grant);
        let source = TokenSource::from(grant);
        self.server
            .then(|seen| Some(Reply::new(400).body(echo(seen))));
        self.outputs.show_failure(source.token().await);
    }

    fn show_what_is_left(&self) {
        let parameters = TokenParameters::new().scope("a").audience("b");
        let secret = Secret::new("canary");
        self.outputs.show(&secret);
        self.outputs
            .show(&GrantRequest::new(parameters.clone(), Some(secret.clone())));
        let request = TokenRequest::new("canary").field("a", "canary");
        self.outputs
            .show(&request.secret_field("b", secret.clone()));
        self.outputs.show(&parameters);
        self.outputs.show(
            &TokenOptions::new()
                .scope("a")
                .minimum_lifetime(Duration::MAX),
        );
        self.outputs.show(
            &TokenResponse::bearer(secret.clone())
                .with_refresh_token(secret.clone())
                .with_member("canary", "canary"),
        );
        let seed = TokenSet::new(secret.clone()).with_id_token(secret.clone());
        self.outputs.show(&seed);
        let endpoint = self.server.endpoint(basic());
        self.outputs.show(&RefreshTokenGrant::new(endpoint, secret));
        self.outputs.show(&self.builder(seed));
        self.outputs.show(&self.clock);
        self.outputs.show(&(TokenKind::AccessToken));
        self.outputs.show(&ExpiryMargin::of_lifetime(0.2));
        self.outputs.show(&Timeouts::new());
        self.outputs.show(&RefreshReason::Soft);
        self.outputs.say(RefreshReason::Soft);
        self.outputs.show(&ErrorKind::Rejected);
        self.outputs.show(&SecretSource::from("canary"));
        #[cfg(feature = "signing")]
        self.show_keys();
    }

    /// Keys and assertions are secrets that no text of ours is in, so those that come are learnt.
    #[cfg(feature = "signing")]
    async fn sign_in_every_way(&self) {
        let pem = || {
            let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
            key.to_pem().unwrap()
        };
        let (first, second) = (pem(), pem());
        let path = std::env::temp_dir().join(format!("reqwest-bearer-h8-{}", std::process::id()));
        std::fs::write(&path, first.expose()).unwrap();
        let file = SigningKeyFile::new(&path);
        self.outputs.show(&file);
        self.outputs.show(&SigningKeySource::from(file.clone()));
        let vault = SigningKeySource::from_fn(move || {
            std::future::ready(SigningKey::from_pem(second.expose()))
        });
        self.outputs.show(&vault);
        let heard = self.outputs.clone();
        for authentication in [
            ClientAuthentication::private_key_jwt("client", file),
            ClientAuthentication::private_key_jwt("client", vault),
            ClientAuthentication::client_secret_jwt("client", "canary".repeat(8)),
            ClientAuthentication::client_assertion_from_fn("client", move |context| {
                heard.show(&context);
                async { Ok::<_, Infallible>(Secret::new("canary.by.hand")) }
            }),
        ] {
            self.outputs.show(&authentication);
            let grant = ClientCredentials::new(self.server.endpoint(authentication));
            let events = self.outputs.clone();
            let source = TokenSource::builder(grant).on_event(move |event| events.show(event));
            let source = source.build().unwrap();
            source.token().await.unwrap();
            // Half of the key is left, and the key before signs.
            std::fs::write(&path, &first.expose()[..100]).unwrap();
            // What came is learnt before the server repeats it.
            let (refused, _) = FAILURES[0];
            self.server.then(refused);
            let options = TokenOptions::new().scope("b");
            self.outputs.show_failure(source.token_with(&options).await);
        }
        std::fs::remove_file(&path).unwrap();
        for line in first.expose().lines().filter(|line| !line.contains("--")) {
            self.outputs.must_not_say(line);
        }
        self.learn_what_was_signed(8);
    }

    /// What came signed, which was so often at least, must not be said either.
    #[cfg(feature = "signing")]
    fn learn_what_was_signed(&self, least: usize) {
        let assertions = std::mem::take(&mut *self.server.assertions.lock().unwrap());
        assert!(assertions.len() >= least, "{}", assertions.len());
        for part in assertions
            .iter()
            .flat_map(|assertion| assertion.split('.').skip(1))
        {
            // `by` and `hand` are words of ours.
            if part.len() > 20 {
                self.outputs.must_not_say(part);
            }
        }
    }

    /// A life with tokens that are bound to keys: the keys and the proofs are learnt as assertions are.
    #[cfg(feature = "dpop")]
    async fn be_bound(&self) {
        let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let pem = key.to_pem().unwrap();
        for line in pem.expose().lines().filter(|line| !line.contains("--")) {
            self.outputs.must_not_say(line);
        }
        let key = DpopKey::from_key(key);
        self.outputs.show(&key);
        // From the beginning of its time, which the dates below count from.
        let clock = TestClock::new();
        let builder = TokenEndpoint::builder(basic())
            .token_url(format!("{}/token", self.server.http.url()))
            .revocation_url(format!("{}/revoke", self.server.http.url()))
            .dpop_nonce_first()
            .clock(&clock);
        self.outputs.show(&builder);
        let endpoint = builder.build().unwrap();
        self.server.script.lock().unwrap().clear();
        let code = || AuthorizationCode::new("canary-code").dpop(&key);
        self.outputs.show(&code());
        let tokens = code().exchange(&endpoint).await.unwrap();
        self.outputs.show(&tokens);
        for (failure, _) in FAILURES {
            self.server.then(failure);
            self.show_outcome(code().exchange(&endpoint).await);
        }
        let source = |offers: bool| {
            let refresh_token = tokens.refresh_token().unwrap().clone();
            let grant = RefreshTokenGrant::from_token_set(
                endpoint.clone(),
                TokenSet::from_refresh_token(refresh_token).with_dpop_key(&key),
            );
            let events = self.outputs.clone();
            let builder = TokenSource::builder(grant)
                .clock(&clock)
                .on_event(move |event| events.show(event));
            let builder = if offers {
                builder.offer_dpop(&key)
            } else {
                builder.dpop(&key)
            };
            self.outputs.show(&builder);
            builder.build().unwrap()
        };
        for (failure, _) in FAILURES {
            self.server.then(failure);
            let source = source(false);
            self.show_outcome(source.token().await);
            self.outputs.show(&source);
        }
        // A wrong date, and then two bad nonces: with blanks, and the same again.
        for (failures, kind) in [
            (&[BAD_DATE][..], None),
            (&[BAD_NONCE], Some(ErrorKind::Protocol)),
            (&[NONCE, NONCE], Some(ErrorKind::Protocol)),
            (
                &[OTHER_NONCE, FAILURES[2].0],
                Some(ErrorKind::SignInRequired),
            ),
        ] {
            for failure in failures {
                self.server.then(*failure);
            }
            let outcome = source(false).token().await;
            assert_eq!(outcome.as_ref().err().map(Error::kind), kind);
            self.show_outcome(outcome);
        }
        self.server.then(|_| {
            Some(Reply::new(200).json(&json!({ "access_token": "canary", "token_type": "Bearer" })))
        });
        self.outputs.show(&source(true).token().await.unwrap());
        self.call_bound(&source(false)).await;
        self.keep_keys_of_sessions(&endpoint, &tokens, &clock).await;
        let request = TokenRequest::new("canary").dpop(Some(&key));
        self.outputs.show(&request);
        self.learn_what_was_signed(2 * FAILURES.len());
    }

    /// One of the failures above is none for a bound token.
    #[cfg(feature = "dpop")]
    fn show_outcome<T: Debug>(&self, outcome: Result<T, Error>) {
        match outcome {
            Ok(brought) => self.outputs.show(&brought),
            Err(error) => self.outputs.show_words(&error),
        }
    }

    /// At an API, which is the same server.
    #[cfg(feature = "dpop")]
    async fn call_bound(&self, source: &TokenSource) {
        let client = NamedClient::builder("bound", self.server.http.url(), source)
            .http(Self::http())
            .after(self.outputs.clone())
            .build()
            .unwrap();
        self.outputs.show(&client);
        client.get("x").send().await.unwrap();
        let refusals: [Gossip; 3] = [
            |_| Some(refused_proof("use_dpop_nonce")),
            |_| Some(refused_proof("invalid_dpop_proof")),
            |_| Some(refused_proof("canary")),
        ];
        for refusal in refusals {
            self.server.then(refusal);
            let answered = client.get("x").send().await.unwrap();
            if let Some(reason) = Error::find_in_response(&answered) {
                self.outputs.show_words(reason);
            }
            if let Some(challenge) = answered.extensions().get::<BearerChallenge>() {
                self.outputs.show(challenge);
            }
        }
        let token = source.token().await.unwrap();
        let url = reqwest::Url::parse(self.server.http.url()).unwrap();
        let proof = token.dpop_proof(&reqwest::Method::GET, &url).await.unwrap();
        let proof = proof.unwrap();
        self.outputs.say(format!("{proof:?} {token:?}"));
        let mut signed = self.server.assertions.lock().unwrap();
        signed.push(proof.to_str().unwrap().to_owned());
    }

    /// In a record, and in the sets that a sign-in brings.
    #[cfg(feature = "dpop")]
    async fn keep_keys_of_sessions(
        &self,
        endpoint: &TokenEndpoint,
        tokens: &TokenSet,
        clock: &TestClock,
    ) {
        let store = FragileStore::new(clock);
        let events = self.outputs.clone();
        let users = UserSessions::builder(endpoint)
            .store(store.clone())
            .clock(clock)
            .on_event(move |event| events.show(event))
            .dpop();
        self.outputs.show(&users);
        let users = users.build().unwrap();
        let subject = Subject::new("canary-bound").unwrap();
        let unbound = TokenSet::new("canary");
        self.outputs
            .show_failure(users.sign_in(&subject, unbound).await);
        users.sign_in(&subject, tokens.clone()).await.unwrap();
        let record = store.record(&store.last_key()).await.unwrap();
        self.outputs.show(&record);
        let anew = TokenOptions::new().force_refresh();
        let source = users.for_subject(&subject);
        self.outputs.show(&source.token_with(&anew).await.unwrap());
        // Half of a key in a record that is whole.
        let data = String::from_utf8(record.data().unwrap().to_vec()).unwrap();
        let cut = data.replacen("MIG", "", 1);
        assert_ne!(cut, data, "the record has the key");
        store.overwrite(&store.last_key(), cut.as_bytes()).await;
        clock.advance(Duration::from_secs(601));
        self.outputs.show_failure(source.token().await);
        self.outputs.show(&users);
    }

    /// A private key is a secret that no text of ours is in, so its own texts are looked for.
    #[cfg(feature = "signing")]
    fn show_keys(&self) {
        let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let pem = key.to_pem().unwrap();
        for line in pem.expose().lines().filter(|line| !line.contains("--")) {
            self.outputs.must_not_say(line);
        }
        self.outputs.show(&SigningAlgorithm::Es256);
        self.outputs.say(SigningAlgorithm::Es256);
        self.outputs.show(&key.public_jwk());
        self.outputs.say(key.public_jwk());
        self.outputs.show(&key);
        self.outputs.show(&pem);
        self.outputs
            .show(&Jws::new("canary").header("canary", "canary"));
        let bad = pem.expose().replace("PRIVATE", "CANARY");
        self.outputs.show_failure(SigningKey::from_pem(&bad));
        let cut = &pem.expose()[..pem.expose().len() / 2];
        self.outputs.show_failure(SigningKey::from_pem(cut));
        for bad in [
            r#"{"kty":"canary"}"#,
            r#"{"kty":"EC","crv":"canary","d":"canary"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"canary","y":"canary","d":"canary"}"#,
            "canary",
        ] {
            self.outputs.show_failure(SigningKey::from_jwk(bad));
        }
        self.outputs.show_failure(PublicJwk::from_jwk("canary"));
        #[cfg(feature = "dpop")]
        self.outputs.show(&DpopKey::from_key(key));
        #[cfg(feature = "mtls")]
        self.present_certificates();
    }

    #[cfg(feature = "mtls")]
    fn present_certificates(&self) {
        use reqwest_bearer::ClientCertificate;

        let (own, key) = (
            include_str!("signing/keys/certificate.pem"),
            include_str!("signing/keys/rsa_pkcs8.pem"),
        );
        let lines = key.lines().filter(|line| line.len() == 64);
        let lines = lines.map(ToOwned::to_owned);
        self.outputs.0.lock().unwrap().secrets.extend(lines);
        let certificate = ClientCertificate::from_pem(format!("{own}{key}")).unwrap();
        self.outputs.show(&certificate);
        self.outputs
            .show(&ClientAuthentication::tls_client_auth("me", certificate));
        for bad in [key, "canary", &format!("{own}{key}{key}"), &key[..300]] {
            self.outputs.show_failure(ClientCertificate::from_pem(bad));
        }
    }
}

/// The same calls as through the middleware, by the layer.
#[cfg(feature = "tower")]
mod layered {
    use super::{Outputs, Program};

    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body::{Body, Frame};
    use http_body_util::Empty;
    use reqwest_bearer::{BearerTokenLayer, RecordedBody, TokenSet};
    use tower_layer::Layer;
    use tower_service::Service;

    /// A body with a canary in it, by itself and as the layer records it.
    enum Letter {
        Own(Option<Bytes>),
        Recorded(Box<RecordedBody<Self>>),
    }

    impl Body for Letter {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Self::Own(text) = &mut *self else {
                return Poll::Ready(None);
            };
            Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
        }
    }

    /// Refuses everything, and shows what it is sent.
    #[derive(Clone)]
    struct Refusing(Outputs);

    impl Service<Request<Letter>> for Refusing {
        type Response = Response<Empty<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Letter>) -> Self::Future {
            let (head, body) = request.into_parts();
            self.0.show(&head.headers);
            if let Letter::Recorded(body) = body {
                self.0.show(&*body);
            }
            let refusal = Response::builder()
                .status(401)
                .header("www-authenticate", r#"Bearer error="canary""#);
            ready(Ok(refusal.body(Empty::new()).unwrap()))
        }
    }

    pub(super) async fn call_and_be_refused(program: &Program, tokens: &TokenSet) {
        let source = program.builder(tokens.clone()).build().unwrap();
        let builder = BearerTokenLayer::builder(source).origin("https://api.test");
        program
            .outputs
            .show(&builder.clone().origin("https://canary:canary@api.test"));
        let layer = builder.build_recording(|body| Letter::Recorded(Box::new(body)));
        let layer = layer.unwrap();
        program.outputs.show(&layer);
        let mut client = layer.layer(Refusing(program.outputs.clone()));
        program.outputs.show(&client);
        let call = |uri: &str| {
            let body = Letter::Own(Some(Bytes::from("canary")));
            Request::post(uri).body(body).unwrap()
        };
        let answer = client.call(call("https://api.test/canary?canary")).await;
        let answer = answer.unwrap();
        program.outputs.show(answer.body());
        for elsewhere in [
            "/canary",
            "https://canary:canary@elsewhere.test/canary",
            "https://canary:canary@0x7f.1/canary",
        ] {
            let error = client.call(call(elsewhere)).await.unwrap_err();
            let error = reqwest_bearer::Error::find_in(&*error).unwrap().clone();
            program.outputs.show_error(&error);
        }
    }
}

/// The types that the crate lets out, by what `lib.rs` says.
fn public_types() -> BTreeSet<&'static str> {
    let features = [
        ("encryption", cfg!(feature = "encryption")),
        ("file", cfg!(feature = "file")),
        ("redis", cfg!(feature = "redis")),
        ("dpop", cfg!(feature = "dpop")),
        ("mtls", cfg!(feature = "mtls")),
        ("loopback", cfg!(feature = "loopback")),
        ("signing", cfg!(feature = "signing")),
        ("test-util", cfg!(feature = "test-util")),
        ("tower", cfg!(feature = "tower")),
        ("config", cfg!(feature = "config")),
    ];
    let exports: Vec<_> = include_str!("../src/lib.rs").split("pub use ").collect();
    let exports = exports.windows(2).filter(|pair| {
        // What stands before it may switch it off.
        let condition = pair[0].trim_end().rsplit('\n').next().unwrap();
        features
            .iter()
            .all(|(name, on)| *on || !condition.contains(&format!("\"{name}\"")))
    });
    let names = exports.flat_map(|pair| {
        let (list, _) = pair[1].split_once(';').unwrap();
        let list = list.rsplit("::").next().unwrap().trim_start_matches('{');
        list.trim_end_matches('}').split(',').map(str::trim)
    });
    names
        .filter(|name| name.starts_with(|first: char| first.is_uppercase()))
        // The traits, which nobody can show, and the name of what one of them returns.
        .filter(|name| {
            ![
                "BearerTokenFuture",
                "BearerTokenProvider",
                "Grant",
                "Replay",
                "Signer",
                "TokenStore",
            ]
            .contains(name)
        })
        .collect()
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_crate_lets_out() {
    // D6, H8
    let outputs = Outputs::default();
    let log = outputs.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || log.clone())
        .with_filter(filter_fn(|of| of.target().starts_with("reqwest_bearer")));
    tracing_subscriber::registry().with(lines).init();
    let recorder = Recorder::default();
    assert!(metrics::set_global_recorder(recorder.clone()).is_ok());

    let program = Program::new(outputs.clone()).await;
    let tokens = program.sign_in().await;
    program.call_and_be_refused(&tokens).await;
    #[cfg(feature = "tower")]
    layered::call_and_be_refused(&program, &tokens).await;
    program.hand_tokens_out(&tokens).await;
    #[cfg(feature = "config")]
    program.be_configured_wrongly();
    program.serve_users(&tokens).await;
    program.fail_in_every_way(&tokens).await;
    program.authenticate_in_every_way().await;
    #[cfg(feature = "signing")]
    program.sign_in_every_way().await;
    #[cfg(feature = "dpop")]
    program.be_bound().await;
    program.begin_sign_ins().await;
    program.sign_in_on_a_device().await;
    program.find_servers().await;
    program.discover_in_vain().await;
    program.be_asked_by_hooks().await;
    program.call_for_tenants().await;
    program.call_for_callers().await;
    program.panic().await;
    program.be_set_up_wrongly().await;
    program.show_what_is_left();
    for series in recorder.series() {
        outputs.say(format!("{series:?}"));
    }

    let said = outputs.0.lock().unwrap();
    for line in said.text.lines() {
        for canary in CANARIES {
            assert!(!line.contains(canary), "{line}");
        }
        for secret in &said.secrets {
            assert!(!line.contains(secret), "{line}");
        }
    }
    // The other half of the proof: that it was listened to.
    for heard in [
        "token_refresh{",
        "token request failed",
        "token request succeeded",
        "an API refused the token",
        "could not be saved",
        #[cfg(feature = "metrics")]
        "reqwest_bearer_token_request_duration_seconds",
        #[cfg(feature = "metrics")]
        "reqwest_bearer_unsaved_refresh_tokens",
        #[cfg(feature = "signing")]
        "the file of the signing key is of no use",
        #[cfg(feature = "signing")]
        "SigningKeyUnreadable",
        #[cfg(feature = "dpop")]
        "ClockSkew",
        #[cfg(feature = "dpop")]
        "NoDpopNonce",
        #[cfg(feature = "dpop")]
        "RefreshTokenRefusedWithNonce",
        #[cfg(feature = "dpop")]
        "BearerInsteadOfDpop",
        #[cfg(feature = "dpop")]
        "\"dpop\": Sensitive",
        "(error code `invalid_client`)",
        "\"authorization\": Sensitive",
    ] {
        assert!(said.text.contains(heard), "{heard}");
    }
    let silent: Vec<_> = public_types().difference(&said.types).copied().collect();
    assert!(silent.is_empty(), "show these too: {silent:?}");
}
