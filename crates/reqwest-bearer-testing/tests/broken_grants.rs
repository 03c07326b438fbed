//! The contract of grants names the promise that a broken grant breaks, and passes a whole one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest_bearer::{Error, Grant, GrantRequest, TokenEndpoint, TokenRequest, TokenResponse};
use reqwest_bearer_testing::{FakeAuthorizationServer, GrantContract};

const SECRET: &str = "s3cr3t-pin";

/// What is wrong with a grant that otherwise asks the fake server for tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Panics,
    /// Another name after each attempt.
    ChangesItsName,
    /// Its settings are in its `Debug`.
    ShowsItsSecret,
    ShowsItsSecretInErrors,
    /// A lock that an attempt takes and, given up, does not give back.
    StaysLocked,
    /// The first attempt fails.
    FailsAtFirst,
    /// Brings a token that no header can carry.
    BringsNoToken,
    KeepsItsToken,
    RepeatsItself,
    TakesTroubleForARefusal,
    TakesARefusalForTrouble,
    TakesOddAnswersForTokens,
}

/// Which promise it breaks, whatever else.
const BROKEN: [(Fault, &str); 9] = [
    (
        Fault::ChangesItsName,
        "a grant says the same of itself each time",
    ),
    (Fault::ShowsItsSecret, "a grant shows no secret"),
    (
        Fault::StaysLocked,
        "attempts that run at once, or are given up, are in nobody's way",
    ),
    (
        Fault::FailsAtFirst,
        "a hundred calls that find no token make one attempt",
    ),
    (
        Fault::BringsNoToken,
        "a refused token ends in another one, or in the API's own answer",
    ),
    (Fault::KeepsItsToken, "each attempt asks the server once"),
    (
        Fault::TakesTroubleForARefusal,
        "a server in trouble is a transient error, and is not asked again",
    ),
    (
        Fault::TakesARefusalForTrouble,
        "a refusal of the server is an error that does not pass",
    ),
    (Fault::TakesOddAnswersForTokens, "an odd answer is an error"),
];

async fn broken_by(fault: Fault) -> BTreeSet<&'static str> {
    let server = FakeAuthorizationServer::start().unwrap();
    let endpoint = server.endpoint().unwrap();
    let make = move || Broken {
        fault,
        endpoint: endpoint.clone(),
        attempts: AtomicUsize::new(0),
        locked: Arc::default(),
        kept: Mutex::default(),
    };
    let contract = GrantContract::new(make)
        .shows_none_of([SECRET, FakeAuthorizationServer::CLIENT_SECRET])
        .server(&server);
    let broken = contract.broken_promises().await;
    broken.iter().map(|promise| promise.sentence()).collect()
}

#[tokio::test]
async fn a_whole_grant_breaks_no_promise() {
    // J2
    assert_eq!(broken_by(Fault::None).await, BTreeSet::new());
}

#[tokio::test]
async fn each_promise_is_named_for_a_grant_that_breaks_it() {
    // J2
    for (fault, promise) in BROKEN {
        let broken = broken_by(fault).await;
        assert!(broken.contains(promise), "{fault:?} breaks {broken:#?}");
    }
}

#[tokio::test]
async fn no_promise_of_the_contract_is_without_a_grant_that_breaks_it() {
    // J2: a check that cannot fail would be found here.
    let all = broken_by(Fault::Panics).await;
    assert_eq!(all, BROKEN.iter().map(|(_, promise)| *promise).collect());
}

#[tokio::test]
async fn a_secret_in_an_error_and_a_grant_that_repeats_itself_are_named() {
    // D6, J2
    let transient = "a server in trouble is a transient error, and is not asked again";
    for fault in [Fault::ShowsItsSecretInErrors, Fault::RepeatsItself] {
        let broken = broken_by(fault).await;
        assert!(broken.contains(transient), "{fault:?} breaks {broken:#?}");
    }
}

struct Broken {
    fault: Fault,
    endpoint: TokenEndpoint,
    attempts: AtomicUsize,
    locked: Arc<AtomicBool>,
    kept: Mutex<Option<TokenResponse>>,
}

impl Grant for Broken {
    fn name(&self) -> &str {
        let has_asked = self.attempts.load(Ordering::SeqCst) > 0;
        match self.fault {
            Fault::ChangesItsName if has_asked => "another",
            _ => "broken",
        }
    }

    async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
        let before = self.attempts.fetch_add(1, Ordering::SeqCst);
        let ask = || {
            self.endpoint
                .request_token(TokenRequest::new("client_credentials"))
        };
        match self.fault {
            Fault::Panics => panic!("as it should"),
            Fault::FailsAtFirst if before == 0 => Err(Error::unavailable("not yet")),
            Fault::BringsNoToken => Ok(TokenResponse::bearer("no token\n")),
            Fault::StaysLocked => {
                while self.locked.swap(true, Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                let outcome = ask().await;
                self.locked.store(false, Ordering::SeqCst);
                outcome
            }
            Fault::KeepsItsToken => {
                if let Some(kept) = self.kept.lock().unwrap().clone() {
                    return Ok(kept);
                }
                let response = ask().await?;
                *self.kept.lock().unwrap() = Some(response.clone());
                Ok(response)
            }
            Fault::RepeatsItself => match ask().await {
                Err(error) if error.is_transient() => ask().await,
                outcome => outcome,
            },
            Fault::ShowsItsSecretInErrors => {
                let told = |_| Error::unavailable(format!("the PIN {SECRET} brings nothing"));
                ask().await.map_err(told)
            }
            Fault::TakesTroubleForARefusal => ask().await.map_err(|_| Error::rejected("no token")),
            Fault::TakesARefusalForTrouble => {
                ask().await.map_err(|_| Error::unavailable("no token"))
            }
            Fault::TakesOddAnswersForTokens => match ask().await {
                Err(error) if !error.is_transient() && error.oauth_code().is_none() => {
                    Ok(TokenResponse::bearer("from-nowhere"))
                }
                outcome => outcome,
            },
            _ => ask().await,
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::ShowsItsSecret => write!(formatter, "Broken({SECRET})"),
            _ => formatter.write_str("Broken"),
        }
    }
}
