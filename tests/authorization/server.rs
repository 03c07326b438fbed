//! An authorization server with the endpoints of a sign-in; its user says yes at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, PendingAuthorization, TestClock, TokenEndpoint,
    TokenEndpointBuilder,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::proof::Proof;
use crate::support::http_server::{HttpServer, Reply, Seen};

pub(crate) const REDIRECT_URI: &str = "https://app.example.com/signed-in";

pub(crate) type Parameters = BTreeMap<String, String>;

pub(crate) struct Server {
    http: HttpServer,
    pub(crate) clock: TestClock,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
pub(crate) struct Book {
    /// Members of the document besides its endpoints.
    pub(crate) document: Value,
    /// What proofs have to have in them at the endpoint for pushed requests.
    pub(crate) nonce: Option<&'static str>,
    /// What pushed requests are answered with, before any is read.
    pub(crate) push_script: VecDeque<Reply>,
    /// The `nonce` of id tokens, in place of the one that was sent.
    pub(crate) other_nonce: Option<Value>,
    pub(crate) leaves_out_id_token: bool,
    pub(crate) pushes: Vec<Seen>,
    pub(crate) token_requests: Vec<Seen>,
    pushed: HashMap<String, Parameters>,
    /// What each code that is not spent was asked for with.
    codes: HashMap<String, Parameters>,
    drawn: usize,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let answering = book.clone();
        let http = HttpServer::start(move |seen| {
            let reply = answering.lock().unwrap().answer(&seen);
            std::future::ready(Some(reply))
        })
        .await;
        let server = Self {
            http,
            clock: TestClock::new(),
            book,
        };
        server.document(json!({}));
        server
    }

    /// One whose document names an endpoint for pushed requests.
    pub(crate) async fn with_pushing() -> Self {
        let server = Self::start().await;
        server.document(json!({
            "pushed_authorization_request_endpoint": server.url("/par"),
        }));
        server
    }

    /// What the document says besides issuer, token and authorization endpoint, or in place of those.
    pub(crate) fn document(&self, members: Value) {
        let mut document = json!({
            "issuer": self.url(""),
            "token_endpoint": self.url("/token"),
            "authorization_endpoint": self.url("/authorize"),
        });
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.book().document = document;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.http.url())
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(crate) fn client() -> ClientAuthentication {
        ClientAuthentication::client_secret_basic("client", "s3cr3t")
    }

    pub(crate) fn builder(&self, client: ClientAuthentication) -> TokenEndpointBuilder {
        TokenEndpoint::builder(client).clock(&self.clock)
    }

    pub(crate) fn endpoint_of(&self, client: ClientAuthentication) -> TokenEndpoint {
        self.builder(client).issuer(self.url("")).build().unwrap()
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        self.endpoint_of(Self::client())
    }

    /// A sign-in with these scopes that has begun.
    pub(crate) async fn begin(&self, scope: &str) -> (Url, PendingAuthorization) {
        let request = AuthorizationRequest::new(REDIRECT_URI).scope(scope);
        request.start(&self.endpoint()).await.unwrap()
    }

    /// The parameters of an authorization URL, and no other URL.
    pub(crate) fn parameters(&self, url: &Url) -> Parameters {
        assert!(url.as_str().starts_with(&self.url("/authorize?")), "{url}");
        let mut parameters = Parameters::new();
        for (name, value) in url.query_pairs().into_owned() {
            let before = parameters.insert(name, value);
            assert_eq!(before, None, "twice in {url}");
        }
        parameters
    }

    /// The user opens the URL and says yes: the query that the redirect URI gets.
    pub(crate) fn authorize(&self, url: &Url) -> String {
        let mut asked = self.parameters(url);
        let mut book = self.book();
        assert_eq!(asked["client_id"], "client");
        if let Some(reference) = asked.get("request_uri") {
            // Once (RFC 9126 section 4).
            asked = book.pushed.remove(reference).unwrap();
        }
        book.drawn += 1;
        let code = format!("code-{}", book.drawn);
        let state = asked["state"].clone();
        book.codes.insert(code.clone(), asked);
        drop(book);
        let (code, iss) = (("code", code), ("iss", self.url("")));
        let parameters = [code, ("state", state), iss];
        let url = Url::parse_with_params("https://a.b/", parameters).unwrap();
        url.query().unwrap().to_owned()
    }
}

impl Book {
    fn answer(&mut self, seen: &Seen) -> Reply {
        match seen.path.as_str() {
            "/.well-known/openid-configuration" => Reply::new(200).json(&self.document),
            "/par" => self.push(seen),
            "/token" => self.token(seen),
            _ => Reply::new(404),
        }
    }

    fn push(&mut self, seen: &Seen) -> Reply {
        self.pushes.push(seen.clone());
        if let Some(reply) = self.push_script.pop_front() {
            return reply;
        }
        if let Some(nonce) = self.nonce {
            let proof = Proof::of(seen).unwrap();
            if proof.claim("nonce") != Some(nonce) {
                let reply = Reply::new(400).header("dpop-nonce", nonce);
                return reply.json(&json!({ "error": "use_dpop_nonce" }));
            }
        }
        self.drawn += 1;
        let reference = format!("urn:ietf:params:oauth:request_uri:{}", self.drawn);
        self.pushed.insert(reference.clone(), fields(seen));
        Reply::new(201).json(&json!({ "request_uri": reference, "expires_in": 60 }))
    }

    fn token(&mut self, seen: &Seen) -> Reply {
        self.token_requests.push(seen.clone());
        let sent = fields(seen);
        let refused = || Reply::new(400).json(&json!({ "error": "invalid_grant" }));
        let Some(asked) = self.codes.remove(&sent["code"]) else {
            return refused();
        };
        let verifier = sent.get("code_verifier").map(String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.unwrap_or_default()));
        let jkt = Proof::of(seen).ok().map(|proof| proof.jkt);
        let is_as_asked = asked["code_challenge_method"] == "S256"
            && asked["code_challenge"] == challenge
            && asked.get("redirect_uri") == sent.get("redirect_uri")
            && asked.get("dpop_jkt") == jkt.as_ref();
        if !is_as_asked {
            return refused();
        }
        let token_type = if jkt.is_some() { "DPoP" } else { "Bearer" };
        let mut tokens = json!({
            "access_token": "access-1",
            "refresh_token": "refresh-1",
            "token_type": token_type,
            "expires_in": 600,
        });
        if let Some(nonce) = asked.get("nonce")
            && !self.leaves_out_id_token
        {
            let nonce = self.other_nonce.clone().unwrap_or(json!(nonce));
            let claims = json!({ "sub": "alice", "nonce": nonce }).to_string();
            let claims = URL_SAFE_NO_PAD.encode(claims);
            tokens["id_token"] = json!(format!("e30.{claims}.c2ln"));
        }
        Reply::new(200).json(&tokens)
    }
}

/// The fields of a form, of which none is there twice.
pub(crate) fn fields(seen: &Seen) -> Parameters {
    let mut fields = Parameters::new();
    for (name, value) in form_urlencoded::parse(&seen.body).into_owned() {
        let before = fields.insert(name, value);
        assert_eq!(before, None, "a field is there twice");
    }
    fields
}
