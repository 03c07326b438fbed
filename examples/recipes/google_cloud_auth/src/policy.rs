//! Tells of a 401, and has the client send the request once more.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_gax::error::{Error, rpc::Code};
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_gax::throttle_result::ThrottleResult;

use crate::credentials::TokenCredentials;

/// For `with_retry_policy` of a client, around the policy that it should have else.
///
/// The second sending comes after the client's back-off, which is up to a second by default.
#[derive(Debug)]
pub struct RefusalPolicy {
    credentials: TokenCredentials,
    otherwise: Arc<dyn RetryPolicy>,
}

impl RefusalPolicy {
    /// For the client with these credentials.
    pub fn new(credentials: &TokenCredentials, otherwise: impl RetryPolicy + 'static) -> Self {
        Self {
            credentials: credentials.clone(),
            otherwise: Arc::new(otherwise),
        }
    }
}

impl RetryPolicy for RefusalPolicy {
    fn on_error(&self, state: &RetryState, error: Error) -> RetryResult {
        let by_status = error.status().map(|status| status.code);
        let is_refusal =
            error.http_status_code() == Some(401) || by_status == Some(Code::Unauthenticated);
        if !is_refusal {
            return self.otherwise.on_error(state, error);
        }
        self.credentials.invalidate(state.start);
        // Whatever the request does, the service has not done it.
        match state.attempt_count {
            0 | 1 => RetryResult::Continue(error),
            _ => RetryResult::Permanent(error),
        }
    }

    fn on_throttle(&self, state: &RetryState, error: Error) -> ThrottleResult {
        self.otherwise.on_throttle(state, error)
    }

    fn remaining_time(&self, state: &RetryState) -> Option<Duration> {
        self.otherwise.remaining_time(state)
    }
}
