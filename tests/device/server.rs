//! An authorization server for devices. Its user has not agreed before the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use reqwest_bearer::{
    ClientAuthentication, DeviceAuthorizationRequest, Error, PendingDeviceAuthorization, TestClock,
    TokenEndpoint, TokenEndpointBuilder, TokenSet,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::proof::Proof;
use crate::support::http_server::{HttpServer, Reply, Seen};
use crate::support::while_time_passes;

pub(crate) type Parameters = BTreeMap<String, String>;

pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const DEVICE_CODE: &str = "canary-device-code";

pub(crate) struct Server {
    http: HttpServer,
    pub(crate) clock: TestClock,
    book: Arc<Mutex<Book>>,
    /// Polls up to this number are answered.
    pub(crate) answered: watch::Sender<usize>,
}

/// What a poll is answered.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Reply(Reply),
    /// The connection breaks.
    Cut,
}

pub(crate) struct Book {
    pub(crate) document: Value,
    /// The document at the place of RFC 8414; 404 if it is null.
    pub(crate) other_document: Value,
    /// What the request for the codes is answered.
    pub(crate) codes: Reply,
    pub(crate) device_requests: Vec<Seen>,
    /// What the next polls are answered; the others, that the user has not agreed, or with tokens.
    script: VecDeque<Say>,
    has_agreed: bool,
    /// What proofs have to have in them.
    pub(crate) nonce: Option<&'static str>,
    pub(crate) polls: Vec<Poll>,
}

/// One poll, by the clock of the test.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) seen: Seen,
    pub(crate) came_at: SystemTime,
    answered_at: Option<SystemTime>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let clock = TestClock::new();
        let (answered, open) = watch::channel(usize::MAX);
        let book = Arc::new(Mutex::new(Book {
            document: Value::Null,
            other_document: Value::Null,
            codes: Reply::new(200),
            device_requests: Vec::new(),
            script: VecDeque::new(),
            has_agreed: false,
            nonce: None,
            polls: Vec::new(),
        }));
        let (answering, time) = (book.clone(), clock.clone());
        let http = HttpServer::start(move |seen| {
            let (book, time, mut open) = (answering.clone(), time.clone(), open.clone());
            async move {
                if seen.path != "/token" {
                    return Some(book.lock().unwrap().answer(seen));
                }
                let number = book.lock().unwrap().polled(&seen, time.system_time());
                open.wait_for(|answered| *answered > number).await.ok()?;
                let mut book = book.lock().unwrap();
                book.polls[number].answered_at = Some(time.system_time());
                match book.poll(&seen) {
                    Say::Reply(reply) => Some(reply),
                    Say::Cut => None,
                }
            }
        })
        .await;
        let server = Self {
            http,
            clock,
            book,
            answered,
        };
        server.document(json!({ "device_authorization_endpoint": server.url("/device") }));
        server.codes(json!({}));
        server
    }

    /// What the document says besides issuer and token endpoint.
    pub(crate) fn document(&self, members: Value) {
        self.book().document = self.document_with(members);
    }

    /// A document of this issuer.
    pub(crate) fn document_with(&self, members: Value) -> Value {
        let mut document = json!({
            "issuer": self.url(""),
            "token_endpoint": self.url("/token"),
        });
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        document
    }

    /// What the answer with the codes has besides, or in place of its members.
    pub(crate) fn codes(&self, members: Value) {
        let mut codes = json!({
            "device_code": DEVICE_CODE,
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://as.example.com/device",
            "expires_in": 600,
            "interval": 5,
        });
        for (name, value) in members.as_object().unwrap() {
            codes[name] = value.clone();
        }
        self.book().codes = Reply::new(200).json(&codes);
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

    /// A sign-in that has begun.
    pub(crate) async fn begin(&self) -> PendingDeviceAuthorization {
        let request = DeviceAuthorizationRequest::new().scope("read");
        request.start(&self.endpoint()).await.unwrap()
    }

    /// What comes of it as time passes.
    pub(crate) async fn finish(
        &self,
        pending: &mut PendingDeviceAuthorization,
    ) -> Result<TokenSet, Error> {
        let endpoint = self.endpoint();
        while_time_passes(&self.clock, pending.finish(&endpoint)).await
    }

    /// The user agrees.
    pub(crate) fn agree(&self) {
        self.book().has_agreed = true;
    }

    /// The next poll without an answer gets this one.
    pub(crate) fn then(&self, say: impl Into<Say>) -> &Self {
        self.book().script.push_back(say.into());
        self
    }

    /// The same with this code, as RFC 8628 section 3.5 has it.
    pub(crate) fn then_error(&self, code: &str) -> &Self {
        self.then(error(400, code))
    }

    pub(crate) fn polls(&self) -> usize {
        self.book().polls.len()
    }

    /// The seconds that the client waited before each poll: since `began`, and since the answer before.
    pub(crate) fn pauses(&self, began: SystemTime) -> Vec<f64> {
        let mut last = began;
        let book = self.book();
        let pauses = book.polls.iter().map(|poll| {
            let pause = poll.came_at.duration_since(last).unwrap();
            last = poll.answered_at.unwrap_or(poll.came_at);
            pause.as_secs_f64()
        });
        pauses.collect()
    }
}

impl Book {
    fn answer(&mut self, seen: Seen) -> Reply {
        match seen.path.as_str() {
            "/.well-known/openid-configuration" => Reply::new(200).json(&self.document),
            "/.well-known/oauth-authorization-server" if !self.other_document.is_null() => {
                Reply::new(200).json(&self.other_document)
            }
            "/device" => {
                self.device_requests.push(seen);
                self.codes.clone()
            }
            _ => Reply::new(404),
        }
    }

    /// Returns the number of the poll.
    fn polled(&mut self, seen: &Seen, came_at: SystemTime) -> usize {
        self.polls.push(Poll {
            seen: seen.clone(),
            came_at,
            answered_at: None,
        });
        self.polls.len() - 1
    }

    fn poll(&mut self, seen: &Seen) -> Say {
        let sent = fields(seen);
        assert_eq!(sent["grant_type"], GRANT_TYPE);
        assert_eq!(sent["device_code"], DEVICE_CODE);
        if let Some(say) = self.script.pop_front() {
            return say;
        }
        let proof = Proof::of(seen).ok();
        if let (Some(nonce), Some(proof)) = (self.nonce, &proof)
            && proof.claim("nonce") != Some(nonce)
        {
            return error(400, "use_dpop_nonce")
                .header("dpop-nonce", nonce)
                .into();
        }
        if !self.has_agreed {
            return error(400, "authorization_pending").into();
        }
        let token_type = if proof.is_some() { "DPoP" } else { "Bearer" };
        let tokens = json!({
            "access_token": "access-1",
            "refresh_token": "refresh-1",
            "token_type": token_type,
            "expires_in": 3600,
        });
        Reply::new(200).json(&tokens).into()
    }
}

impl From<Reply> for Say {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

pub(crate) fn error(status: u16, code: &str) -> Reply {
    Reply::new(status).json(&json!({ "error": code, "error_description": "canary words" }))
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

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
