//! One poll for the tokens of a device that waits for its user (RFC 8628 section 3.4).

use std::time::SystemTime;

use crate::dpop::{DpopKey, DpopSetting, Keys};
use crate::endpoint::queue::Place;
use crate::endpoint::{TokenEndpoint, TokenRequest};
use crate::error::{Error, ErrorKind, HowFar};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token_set::TokenSet;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A device code. It is no [`Grant`](crate::Grant), because it brings tokens once.
#[derive(Debug)]
pub(crate) struct DeviceCode {
    pub(crate) code: Secret,
    pub(crate) resource: Option<String>,
    /// What the tokens are to be bound to.
    pub(crate) dpop_key: Option<DpopKey>,
    pub(crate) expires_at: SystemTime,
}

impl DeviceCode {
    /// Asks once whether the user has agreed. Takes its turn among the endpoint's requests, as long as the
    /// code lives.
    ///
    /// # Errors
    /// As for [`TokenEndpoint::request_token`]: that the user has not agreed yet is one, too.
    pub(crate) async fn poll(self, endpoint: &TokenEndpoint) -> Result<TokenSet, Error> {
        let _place = self.turn(endpoint).await?;
        let resource = self.resource.as_ref();
        let parameters = resource.map(|resource| TokenParameters::new().resource(resource));
        let key = self.dpop_key.as_ref();
        let request = TokenRequest::new(GRANT_TYPE)
            .secret_field("device_code", self.code)
            .parameters(&parameters.unwrap_or_default())
            .bound_to(key);
        let asked_at = endpoint.now();
        let response = endpoint.request_token(request).await?;
        if let Some(key) = key {
            let dpop = DpopSetting {
                keys: Keys::OfProcess(key.clone()),
                is_required: true,
            };
            dpop.check(Some(key), response.binding.as_ref())?;
        }
        Ok(TokenSet::from_response(response, asked_at))
    }

    async fn turn(&self, endpoint: &TokenEndpoint) -> Result<Place, Error> {
        let left = self.expires_at.duration_since(endpoint.now());
        let turn = async {
            endpoint.locate().await?;
            Ok(endpoint.queue().enter_anyway(endpoint.client()).await)
        };
        tokio::select! {
            biased;
            turn = turn => turn,
            () = endpoint.clock().sleep(left.unwrap_or_default()) => Err(Error::new(
                ErrorKind::Timeout,
                "the authorization server had too many other requests of this process to answer",
            )
            .got(HowFar::NotSent)),
        }
    }
}
