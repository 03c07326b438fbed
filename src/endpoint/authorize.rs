//! Where an authorization request goes, and what its answer has to say.

use std::sync::Arc;

use reqwest::Url;

use crate::clock::Clock;
use crate::dpop::DpopKey;
use crate::endpoint::document::Document;
use crate::endpoint::form::Form;
use crate::endpoint::front_channel::FrontChannel;
use crate::endpoint::pushed::{self, PushedRequest};
use crate::endpoint::{Place, TokenEndpoint};
use crate::error::{Error, HowFar};

/// The authorization endpoint (RFC 6749 section 3.1), and what is to be known of its server.
pub(crate) struct AuthorizationEndpoint {
    pub(crate) url: Url,
    /// As the document has it, byte for byte.
    pub(crate) issuer: Option<String>,
    /// Whether each redirect brings the issuer (RFC 9207).
    pub(crate) names_issuer: bool,
    pub(crate) pushed: Option<PushedEndpoint>,
    pub(crate) must_be_pushed: bool,
}

/// The pushed authorization request endpoint (RFC 9126).
pub(crate) struct PushedEndpoint {
    url: Url,
    /// What names it, if that is a document.
    document: Option<Arc<Document>>,
}

impl TokenEndpoint {
    /// What the settings say, and the server's document where there is one.
    ///
    /// # Errors
    /// If the document cannot be had, or no authorization endpoint is known.
    pub(crate) async fn authorization_endpoint(&self) -> Result<AuthorizationEndpoint, Error> {
        let document = match &self.0.place {
            Place::Fixed(_, None) => None,
            Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery) => {
                Some(discovery.document().await?)
            }
        };
        let said = document.as_ref().map(|document| &document.front_channel);
        let said = said.cloned().unwrap_or_default();
        let FrontChannel {
            must_be_pushed,
            names_issuer,
            ..
        } = said;
        let issuer = document.as_ref().map(|document| document.issuer.clone());
        let url = match &self.0.authorization_url {
            Some(url) => Some(url.clone()),
            None => said.authorization.usable("an authorization endpoint")?,
        };
        let url = url.ok_or_else(|| {
            Error::settings(
                "no authorization endpoint is known; give the issuer, or `authorization_url` when \
                 building the token endpoint",
            )
            .got(HowFar::NotSent)
        })?;
        // The user's browser goes there, and what is found must not send it into the user's own network.
        self.0.transport.reach().check(&url)?;
        let pushed = match &self.0.pushed_authorization_url {
            Some(url) => Some(PushedEndpoint {
                url: url.clone(),
                document: None,
            }),
            None => said
                .pushed
                .usable("an endpoint for pushed authorization requests")?
                .map(|url| PushedEndpoint {
                    url: match &document {
                        Some(document) => {
                            document.pushed_endpoint_for(self.0.has_certificate(), url)
                        }
                        None => url,
                    },
                    document,
                }),
        };
        Ok(AuthorizationEndpoint {
            url,
            issuer: issuer.filter(|issuer| !issuer.is_empty()),
            names_issuer,
            pushed,
            must_be_pushed,
        })
    }

    /// Pushes an authorization request, with client authentication as for a token request, and with a proof
    /// of this key if there is one (RFC 9449 section 10.1).
    ///
    /// # Errors
    /// As for a token request; and if the answer has no reference that can be used.
    pub(crate) async fn push(
        &self,
        endpoint: &PushedEndpoint,
        parameters: Vec<(String, String)>,
        key: Option<&DpopKey>,
    ) -> Result<PushedRequest, Error> {
        // The client id is a parameter of the request itself, also where a header has it (RFC 9126 section 2.1).
        let client = self.0.authentication.clone().client_id_in_body();
        let own = self.for_client(client)?;
        let _place = self.0.queue.enter_anyway(self.client()).await;
        let mut form = Form::default();
        for (name, value) in parameters {
            form.push(name, value);
        }
        let document = endpoint.document.as_deref();
        let supported = document.map(|document| &document.supported);
        let url = &endpoint.url;
        let answered = async {
            let answer = own.0.post(url.clone(), form, supported, key).await?;
            pushed::read(&answer, self.now())
        };
        answered.await.map_err(|error| error.at_server(url))
    }

    /// The name and the value by which requests say of which client they are.
    pub(crate) fn client_id_parameter(&self) -> (&str, &str) {
        let authentication = &self.0.authentication;
        (authentication.id_field(), authentication.client_id())
    }

    /// The clock that its waits follow.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }
}
