//! One token request: bounded, and survived if the grant panics.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::cache::entry::Entry;
use crate::clock::Moment;
use crate::dpop::DpopKey;
use crate::endpoint::TokenEndpoint;
use crate::endpoint::queue::Place;
use crate::engine::{Setup, at_server};
use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::GrantRequest;
use crate::refresh::admission::{self, Budget};
use crate::secret::Secret;
use crate::session::owner::Out;
use crate::telemetry::RefreshReason;
use crate::token::TokenResponse;

/// What one token request needs.
pub(crate) struct Attempt<'flight> {
    pub(crate) setup: &'flight Setup,
    pub(crate) endpoint: Option<&'flight TokenEndpoint>,
    pub(crate) entry: &'flight Entry,
    pub(crate) reason: RefreshReason,
    pub(crate) claims: Option<&'flight str>,
    pub(crate) refresh_token: Option<Secret>,
    /// What the token is to be bound to.
    pub(crate) dpop_key: Option<&'flight DpopKey>,
}

impl Attempt<'_> {
    /// Sends the request. What becomes of the refresh token is told by `out`.
    ///
    /// Returns the instant before the request was sent, and what came.
    pub(crate) async fn send(
        self,
        out: Option<Out<'_>>,
        place: &mut Option<Place>,
        budget: &mut Budget,
    ) -> (Moment, Result<TokenResponse, Error>) {
        let Self {
            setup,
            endpoint,
            entry,
            reason,
            claims,
            refresh_token,
            dpop_key,
        } = self;
        let spends = refresh_token.is_some();
        let limit = setup.settings.timeouts.attempt.min(budget.left());
        let parameters = match claims {
            Some(claims) => setup.shared_parameters(&entry.key).with_claims(claims),
            None => (*entry.key.parameters).clone(),
        };
        let mut request = GrantRequest::new(parameters, refresh_token);
        if let Some(token) = &entry.owner.subject_token {
            request = request.for_subject_token(token.clone());
        } else if let Some(subject) = &entry.key.subject {
            request = request.for_subject(subject.clone());
        }
        let asked = setup.clock.now();
        request = request.bound_to(dpop_key).at(asked.system_time());
        // Caught here, so that the flight ends as after any lost answer: the store hears of it, and
        // the lease is given back.
        let obtained = AssertUnwindSafe(setup.grant.obtain(request)).catch_unwind();
        let answer = tokio::select! {
            biased;
            answer = obtained => answer.unwrap_or_else(|_| Err(panicked())),
            () = setup.clock.sleep(limit) => Err(at_server(endpoint, Error::new(
                ErrorKind::Timeout,
                "the authorization server did not answer in time",
            ))
            .got(HowFar::Lost)
            .unanswered()),
        };
        let answer = answer.and_then(|response| match &setup.dpop {
            Some(dpop) => {
                let checked = dpop.check(dpop_key, response.binding.as_ref());
                checked.map(|()| response)
            }
            None => Ok(response),
        });
        let answer = answer.map_err(|error| setup.named(error));
        let came_without = |response: &TokenResponse| response.binding.is_none();
        if dpop_key.is_some() && answer.as_ref().is_ok_and(came_without) {
            setup.telemetry.bearer_instead_of_dpop();
        }
        match (&answer, out) {
            (_, None) => {}
            (Ok(_), Some(out)) => out.answered(),
            (Err(error), Some(out)) if !error.how_far().is_loss() => out.not_taken(),
            (Err(_), Some(out)) => drop(out),
        }
        if let Some(place) = place {
            admission::report(setup, entry, place, spends, &answer);
        }
        if answer.is_ok() && spends {
            admission::note_renewal(setup, endpoint, entry);
        }
        if let Some(error) = endpoint.and_then(TokenEndpoint::key_fault) {
            setup.telemetry.signing_key_unreadable(&error);
        }
        #[cfg(feature = "mtls")]
        if let Some(error) = endpoint.and_then(TokenEndpoint::certificate_fault) {
            setup.telemetry.client_certificate_unreadable(&error);
        }
        if let Some(skew) = endpoint.and_then(TokenEndpoint::untold_skew) {
            setup.telemetry.clock_skew(&skew);
        }
        if let Some(error) = endpoint.and_then(TokenEndpoint::nonce_fault) {
            setup.telemetry.no_dpop_nonce(&error);
        }
        let duration = setup.clock.now().waited_since(asked);
        budget.spend(duration);
        let outcome = answer.as_ref().map(|_| ()).map_err(Clone::clone);
        setup.telemetry.token_request(reason, outcome, duration);
        (asked, answer)
    }
}

/// What becomes of a panic in a grant: how far its request got is unknown.
fn panicked() -> Error {
    Error::new(
        ErrorKind::Panicked,
        "the grant panicked while it got a token",
    )
    .got(HowFar::Lost)
}
