//! What a grant does below a token source and a named client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_bearer::{
    Error, Grant, GrantRequest, NamedClient, TokenEndpoint, TokenOwner, TokenParameters,
    TokenResponse, TokenSet, TokenSource,
};

use crate::api::FakeApi;
use crate::grant_contract::Bench;

const CALLS: usize = 100;

pub(super) async fn a_hundred_calls_make_one_attempt(bench: Arc<Bench<impl Grant>>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        grant: (bench.make)(),
        attempts: attempts.clone(),
    };
    let api = FakeApi::start_with(|_| true).unwrap();
    let client = NamedClient::new("contract", api.url(), TokenSource::from(counted)).unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| tokio::spawn(client.get("x").send()))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    let requests = api.requests();
    let first = requests[0].bearer_token();
    assert!(first.is_some(), "a request had no bearer token");
    let is_same = requests
        .iter()
        .all(|request| request.bearer_token() == first);
    assert!(is_same, "the calls carried more than one token");
    // None, where the grant brings a token along.
    let attempts = attempts.load(Ordering::SeqCst);
    assert!(attempts <= 1, "there were {attempts} attempts");
}

/// Never a request without a token, and never an error of ours instead.
pub(super) async fn a_refused_token_ends_in_another_one_or_in_the_api_s_own_answer(
    bench: Arc<Bench<impl Grant>>,
) {
    let api = FakeApi::start_with(|_| false).unwrap();
    let client = NamedClient::new("contract", api.url(), (bench.make)()).unwrap();
    let response = client.get("x").send().await.unwrap();
    assert_eq!(response.status(), 401);
    let requests = api.requests();
    let tokens: Vec<_> = requests.iter().map(|seen| seen.bearer_token()).collect();
    match tokens.as_slice() {
        [Some(_)] => {
            let explained = Error::find_in_response(&response).is_some();
            assert!(
                explained,
                "the answer does not say why there was no other token"
            );
        }
        [Some(first), Some(second)] => assert_ne!(first, second),
        others => panic!("the API was sent {} requests", others.len()),
    }
}

/// The same grant, whose attempts are counted.
struct Counted<G> {
    grant: G,
    attempts: Arc<AtomicUsize>,
}

impl<G: Grant> Grant for Counted<G> {
    fn name(&self) -> &str {
        self.grant.name()
    }

    async fn endpoint(&self, owner: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        self.grant.endpoint(owner).await
    }

    fn needs_refresh_token(&self) -> bool {
        self.grant.needs_refresh_token()
    }

    fn parameters(&self) -> TokenParameters {
        self.grant.parameters()
    }

    fn seed(&self) -> Option<TokenSet> {
        self.grant.seed()
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        self.grant.obtain(request).await
    }
}
