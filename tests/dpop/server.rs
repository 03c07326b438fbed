//! A server with two origins, which demands proofs and reads each one: one issues tokens that are bound to
//! the key of the proof, the other takes them. Each may demand a nonce, and change it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, DpopKey, Event, NamedClient, RefreshTokenGrant,
    SubjectToken, TestClock, TokenEndpoint, TokenEndpointBuilder, TokenSource, TokenSourceBuilder,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::proof::Proof;
use crate::support::http_server::{HttpServer, Reply, Seen};
use crate::support::until;

/// Both origins, and the clock that all live by.
pub(crate) struct Servers {
    pub(crate) clock: TestClock,
    pub(crate) key: DpopKey,
    pub(crate) issuer: Side,
    pub(crate) api: Side,
    book: Arc<Mutex<Book>>,
    attempts: Arc<AtomicUsize>,
}

/// One of the origins.
pub(crate) struct Side {
    http: HttpServer,
    door: Arc<Mutex<Door>>,
}

/// What each origin asks of a proof.
#[derive(Default)]
pub(crate) struct Door {
    /// What proofs have to have in them, if anything.
    pub(crate) nonce: Option<String>,
    /// The nonce is another one, once, after so many requests that it was good for.
    pub(crate) rotates_after: Option<usize>,
    /// The status of an answer that wants a nonce.
    pub(crate) nonce_status: u16,
    /// The headers of an answer that wants a nonce, in place of the one with the nonce.
    pub(crate) gives_instead: Option<Vec<String>>,
    /// Whether other answers give the nonce as well.
    pub(crate) gives_always: bool,
    /// A request is carried out before its nonce is judged, and what it spends is spent.
    pub(crate) spends_first: bool,
    /// By how many seconds its clock is ahead of the client's.
    pub(crate) seconds_ahead: i64,
    /// Each answer waits for a permit.
    pub(crate) gate: Option<Arc<Semaphore>>,
    pub(crate) script: VecDeque<Reply>,
    pub(crate) seen: Vec<Seen>,
    /// What was wrong with proofs, nonces aside.
    pub(crate) faults: Vec<String>,
    ids: HashSet<String>,
    good_for: usize,
}

#[derive(Default)]
struct Book {
    issued: usize,
    /// The thumbprints of the live tokens' keys.
    live: HashMap<String, String>,
    /// The thumbprints of the refresh tokens' keys.
    refresh_tokens: HashMap<String, String>,
    /// Those that authorization requests named (`dpop_jkt`).
    codes: HashMap<String, String>,
    reuses: usize,
    token_type: Option<&'static str>,
}

/// What a proof is judged to be.
enum Judged {
    Good(Proof),
    WantsNonce(Reply, Proof),
    Bad(Reply),
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let clock = TestClock::new();
        let book = Arc::new(Mutex::new(Book::default()));
        let issuer = {
            let (book, clock) = (book.clone(), clock.clone());
            Side::start(400, clock, move |seen, proof| {
                book.lock().unwrap().issue(seen, proof)
            })
            .await
        };
        let api = {
            let (book, clock) = (book.clone(), clock.clone());
            Side::start(401, clock, move |seen, proof| {
                book.lock().unwrap().take(seen, proof)
            })
            .await
        };
        Self {
            clock,
            key: DpopKey::generate().unwrap(),
            issuer,
            api,
            book,
            attempts: Arc::default(),
        }
    }

    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        let client = ClientAuthentication::client_secret_basic("client", "secret");
        self.endpoint_of(client).build().unwrap()
    }

    pub(crate) fn endpoint_of(&self, client: ClientAuthentication) -> TokenEndpointBuilder {
        TokenEndpoint::builder(client)
            .token_url(self.issuer.url("/token?tenant=1"))
            .clock(&self.clock)
    }

    pub(crate) fn builder(&self) -> TokenSourceBuilder {
        let grant = ClientCredentials::new(self.endpoint());
        TokenSource::builder(grant)
            .clock(&self.clock)
            .jitter(0.0)
            .dpop(&self.key)
    }

    /// A source of the application's own tokens.
    pub(crate) fn source(&self) -> TokenSource {
        self.builder().build().unwrap()
    }

    /// A source that starts from a refresh token of this key's.
    pub(crate) fn refreshing(&self) -> TokenSource {
        self.refreshing_at(self.endpoint())
    }

    pub(crate) fn refreshing_at(&self, endpoint: TokenEndpoint) -> TokenSource {
        self.refreshing_builder(endpoint).build().unwrap()
    }

    pub(crate) fn refreshing_builder(&self, endpoint: TokenEndpoint) -> TokenSourceBuilder {
        let attempts = self.attempts.clone();
        let jkt = self.key.thumbprint().to_owned();
        let mut book = self.book.lock().unwrap();
        book.refresh_tokens.insert("refresh-0".to_owned(), jkt);
        drop(book);
        let grant = RefreshTokenGrant::new(endpoint, "refresh-0");
        TokenSource::builder(grant)
            .clock(&self.clock)
            .jitter(0.0)
            .dpop(&self.key)
            .on_event(move |event| {
                if matches!(event, Event::TokenRequest { .. }) {
                    attempts.fetch_add(1, Ordering::SeqCst);
                }
            })
    }

    /// Returns when so many attempts of the refreshing source have ended: what comes next is a pause, and
    /// waits for the clock.
    pub(crate) async fn until_attempts(&self, count: usize) {
        until(async || self.attempts.load(Ordering::SeqCst) == count).await;
    }

    /// A code for whoever has the key of this thumbprint.
    pub(crate) fn code(&self, jkt: &str) -> String {
        let mut book = self.book.lock().unwrap();
        let code = format!("code-{}", book.codes.len());
        book.codes.insert(code.clone(), jkt.to_owned());
        code
    }

    pub(crate) fn client(&self, source: &TokenSource) -> NamedClient {
        NamedClient::new("api", self.api.url(""), source).unwrap()
    }

    pub(crate) fn revoke_all(&self) {
        self.book.lock().unwrap().live.clear();
    }

    /// How often a refresh token came that had been spent.
    pub(crate) fn reuses(&self) -> usize {
        self.book.lock().unwrap().reuses
    }

    /// `token_type` from now on.
    pub(crate) fn token_type(&self, token_type: &'static str) {
        self.book.lock().unwrap().token_type = Some(token_type);
    }

    /// Proofs had what they must have, nonces aside.
    pub(crate) fn assert_no_faults(&self) {
        for side in [&self.issuer, &self.api] {
            assert_eq!(side.door(|door| door.faults.clone()), Vec::<String>::new());
        }
    }
}

impl Side {
    async fn start(
        nonce_status: u16,
        clock: TestClock,
        answer: impl Fn(&Seen, &Proof) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let door = Arc::new(Mutex::new(Door {
            nonce_status,
            ..Door::default()
        }));
        let answering = door.clone();
        let http = HttpServer::start(move |seen| {
            let mut door = answering.lock().unwrap();
            door.seen.push(seen.clone());
            let scripted = door.script.pop_front();
            let reply = scripted.unwrap_or_else(|| match door.judge(&seen, &clock) {
                Judged::Good(proof) => {
                    let reply = answer(&seen, &proof);
                    door.with_nonce(reply)
                }
                Judged::WantsNonce(reply, proof) => {
                    if door.spends_first {
                        answer(&seen, &proof);
                    }
                    reply
                }
                Judged::Bad(reply) => reply,
            });
            let gate = door.gate.clone();
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                Some(reply)
            }
        })
        .await;
        Self { http, door }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.http.url())
    }

    pub(crate) fn door<T>(&self, change: impl FnOnce(&mut Door) -> T) -> T {
        change(&mut self.door.lock().unwrap())
    }

    /// Proofs have to have this nonce in them from now on.
    pub(crate) fn demand(&self, nonce: &str) -> &Self {
        self.door(|door| door.nonce = Some(nonce.to_owned()));
        self
    }

    /// The next request gets this answer, whatever its proof.
    pub(crate) fn then(&self, reply: Reply) -> &Self {
        self.door(|door| door.script.push_back(reply));
        self
    }

    pub(crate) fn requests(&self) -> usize {
        self.door(|door| door.seen.len())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.door(|door| door.seen.clone())
    }

    /// The proofs of all requests so far; a request without a good one is a defect.
    pub(crate) fn proofs(&self) -> Vec<Proof> {
        let seen = self.seen();
        seen.iter().map(|seen| Proof::of(seen).unwrap()).collect()
    }

    /// The nonces in them.
    pub(crate) fn nonces(&self) -> Vec<Option<String>> {
        let proofs = self.proofs();
        let nonces = proofs.iter().map(|proof| proof.claim("nonce"));
        nonces.map(|nonce| nonce.map(ToOwned::to_owned)).collect()
    }

    /// What came behind `DPoP`.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter().map(|seen| token(seen).unwrap()).collect()
    }
}

impl Door {
    fn judge(&mut self, seen: &Seen, clock: &TestClock) -> Judged {
        let proof = match Proof::of(seen) {
            Ok(proof) => proof,
            Err(fault) => return self.fault(fault),
        };
        let path = seen.path.split('?').next().unwrap();
        let host = seen.headers["host"].to_str().unwrap();
        let htu = format!("http://{host}{path}");
        let since_epoch = clock
            .system_time()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let digest = |token: String| URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        let jti = proof.claim("jti").unwrap().to_owned();
        let fault = if proof.claim("htm") != Some(seen.method.as_str()) {
            Some("htm")
        } else if proof.claim("htu") != Some(&htu) {
            Some("htu")
        } else if !self.takes_date(proof.claims["iat"].as_i64().unwrap(), since_epoch) {
            if self.seconds_ahead != 0 {
                return Judged::Bad(self.proof_refused(since_epoch));
            }
            Some("iat")
        } else if proof.claim("ath").map(ToOwned::to_owned) != token(seen).map(digest) {
            Some("ath")
        } else if jti.len() < 16 || !self.ids.insert(jti) {
            Some("jti")
        } else {
            None
        };
        if let Some(fault) = fault {
            return self.fault(fault);
        }
        if self.nonce.as_deref() != proof.claim("nonce") && self.nonce.is_some() {
            return Judged::WantsNonce(self.nonce_wanted(), proof);
        }
        self.good_for += 1;
        if self.rotates_after == Some(self.good_for) {
            self.nonce = Some("rotated".to_owned());
        }
        Judged::Good(proof)
    }

    fn fault(&mut self, fault: &str) -> Judged {
        self.faults.push(fault.to_owned());
        Judged::Bad(self.proof_refused(Duration::ZERO))
    }

    fn proof_refused(&self, since_epoch: Duration) -> Reply {
        let now = since_epoch
            .as_secs()
            .saturating_add_signed(self.seconds_ahead);
        let date = std::time::UNIX_EPOCH + Duration::from_secs(now);
        Reply::new(self.nonce_status)
            .header("date", httpdate::fmt_http_date(date))
            .header("www-authenticate", r#"DPoP error="invalid_dpop_proof""#)
            .json(&json!({ "error": "invalid_dpop_proof" }))
    }

    /// The second of the clock, or one of the few seconds before it where the clocks differ.
    fn takes_date(&self, iat: i64, since_epoch: Duration) -> bool {
        let now = i64::try_from(since_epoch.as_secs()).unwrap() + self.seconds_ahead;
        let tolerance = if self.seconds_ahead == 0 { 0 } else { 5 };
        (now - tolerance..=now).contains(&iat)
    }

    fn nonce_wanted(&self) -> Reply {
        let reply = Reply::new(self.nonce_status)
            .header("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
            .json(&json!({ "error": "use_dpop_nonce" }));
        match &self.gives_instead {
            Some(nonces) => nonces
                .iter()
                .fold(reply, |reply, nonce| reply.header("dpop-nonce", nonce)),
            None => reply.header("dpop-nonce", self.nonce.clone().unwrap()),
        }
    }

    fn with_nonce(&self, reply: Reply) -> Reply {
        match &self.nonce {
            Some(nonce) if self.gives_always => reply.header("dpop-nonce", nonce),
            _ => reply,
        }
    }
}

impl Book {
    fn issue(&mut self, seen: &Seen, proof: &Proof) -> Reply {
        if seen.path.starts_with("/revoke") {
            return Reply::new(200);
        }
        let mut body =
            json!({ "token_type": self.token_type.unwrap_or("DPoP"), "expires_in": 600 });
        if seen.field("subject_token").is_some() {
            body["issued_token_type"] = json!(SubjectToken::ACCESS_TOKEN);
        }
        let spent = match seen.field("grant_type").as_deref() {
            Some("refresh_token") => {
                let spent = seen.field("refresh_token").unwrap();
                Some(self.refresh_tokens.remove(&spent))
            }
            Some("authorization_code") => Some(self.codes.remove(&seen.field("code").unwrap())),
            _ => None,
        };
        if let Some(jkt) = spent {
            if jkt.as_ref() != Some(&proof.jkt) {
                self.reuses += 1;
                return Reply::new(400).json(&json!({ "error": "invalid_grant" }));
            }
            let next = format!("refresh-{}", self.issued + 1);
            body["refresh_token"] = json!(next);
            self.refresh_tokens.insert(next, proof.jkt.clone());
        }
        self.issued += 1;
        let token = format!("access-{}", self.issued);
        self.live.insert(token.clone(), proof.jkt.clone());
        body["access_token"] = json!(token);
        Reply::new(200).json(&body)
    }

    fn take(&self, seen: &Seen, proof: &Proof) -> Reply {
        let jkt = token(seen).and_then(|token| self.live.get(&token));
        if jkt == Some(&proof.jkt) {
            return Reply::new(200).body("fine");
        }
        refusal()
    }
}

/// The token after `DPoP`, if there is one.
pub(crate) fn token(seen: &Seen) -> Option<String> {
    let value = seen.headers.get("authorization")?.to_str().unwrap();
    value.strip_prefix("DPoP ").map(ToOwned::to_owned)
}

/// What a 401 looks like for a bound token.
pub(crate) fn refusal() -> Reply {
    Reply::new(401)
        .header(
            "www-authenticate",
            r#"DPoP error="invalid_token", algs="ES256""#,
        )
        .body("who are you?")
}

/// What a server may give in place of a nonce: nothing, one of 10 KB, one with a blank, two.
pub(crate) fn bad_nonces() -> [Vec<String>; 4] {
    [
        vec![],
        vec!["n".repeat(10 * 1024)],
        vec!["a b".into()],
        vec!["a".into(), "b".into()],
    ]
}
