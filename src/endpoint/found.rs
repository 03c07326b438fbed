//! How an API is asked for its metadata, and the authorization servers that are found by it.

use std::time::Duration;

use reqwest::{ClientBuilder, Url};

use crate::clock::Clock;
use crate::endpoint::address::{self, PlainHttp};
use crate::endpoint::http_clients::{Http, HttpSetting, Ours};
use crate::endpoint::reach::Reach;
use crate::endpoint::transport::Transport;
use crate::endpoint::{AuthorizationServer, ClientAuthentication, TokenEndpoint};
use crate::error::Error;
use crate::origin::all_stay_here;

/// What all requests have in common that an API's metadata leads to.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    reach: Reach,
    /// Those of the API, for servers that are reached in the same way.
    http: Http,
    is_by_program: bool,
    /// Whether they go past a proxy, because the API is on this machine.
    stays_here: bool,
    attempt_timeout: Duration,
    clock: Clock,
    /// For the API itself.
    transport: Transport,
}

impl Finding {
    /// # Errors
    /// If reqwest cannot build an HTTP client.
    pub(crate) fn new(
        api: &Url,
        reach: Reach,
        http: Option<ClientBuilder>,
        attempt_timeout: Duration,
        clock: Clock,
    ) -> Result<Self, Error> {
        let stays_here = all_stay_here([api.as_str()]);
        let ours = Ours {
            connect_timeout: attempt_timeout / 2,
            stays_here,
            reach: reach.clone(),
        };
        let is_by_program = http.is_some();
        let setting = match http {
            Some(http) => HttpSetting::ToBuild(Box::new(http)),
            None => HttpSetting::Default,
        };
        let http = setting.build(ours, &ClientAuthentication::none("nobody"))?;
        let transport = Transport::new(http.clone(), attempt_timeout).within(reach.clone());
        Ok(Self {
            reach,
            http,
            is_by_program,
            stays_here,
            attempt_timeout,
            clock,
            transport,
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The authorization server of this issuer, which and whose endpoints are asked only where the API's
    /// address rule allows it.
    ///
    /// # Errors
    /// If the text is no issuer, or the rule does not allow it.
    pub(crate) fn server(&self, issuer: &str) -> Result<AuthorizationServer, Error> {
        let url = address::check(issuer, PlainHttp::Refused).map_err(|fault| {
            Error::protocol(format!(
                "the metadata of the API names an authorization server whose issuer {fault}"
            ))
        })?;
        self.reach.check(&url)?;
        let (issuer, own) = (issuer.to_owned(), self.clone());
        AuthorizationServer::made_by(move |client| own.endpoint(&issuer, client))
    }

    fn endpoint(&self, issuer: &str, client: ClientAuthentication) -> Result<TokenEndpoint, Error> {
        #[cfg(feature = "mtls")]
        let has_certificate = client.certificate().is_some();
        #[cfg(not(feature = "mtls"))]
        let has_certificate = false;
        let goes_alike = self.is_by_program || self.stays_here == all_stay_here([issuer]);
        let http = if goes_alike && !has_certificate {
            HttpSetting::Of(self.http.clone())
        } else {
            HttpSetting::Default
        };
        TokenEndpoint::builder(client)
            .issuer(issuer)
            .reach(self.reach.clone())
            .http_setting(http)
            .attempt_timeout(self.attempt_timeout)
            .clock_of(self.clock.clone())
            .build()
    }
}
