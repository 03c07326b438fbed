//! Where a device asks for the codes of a sign-in, and how (RFC 8628 section 3.1).

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::Url;

use crate::endpoint::device_codes::{self, DeviceCodes};
use crate::endpoint::document::Document;
use crate::endpoint::form::Form;
use crate::endpoint::{Place, TokenEndpoint};
use crate::error::{Error, HowFar};
use crate::parameters::TokenParameters;

/// The device authorization endpoint.
struct DeviceEndpoint {
    url: Url,
    /// What names it, if that is a document.
    document: Option<Arc<Document>>,
}

impl TokenEndpoint {
    /// Asks for a device code and a user code, with client authentication as for a token request. Returns
    /// them with the time at which they were asked for, from which their life counts.
    ///
    /// # Errors
    /// If no endpoint is known; as for a token request; and if the answer has no codes that can be used.
    pub(crate) async fn authorize_device(
        &self,
        parameters: &TokenParameters,
    ) -> Result<(DeviceCodes, SystemTime), Error> {
        parameters
            .check()
            .map_err(|error| error.got(HowFar::NotSent))?;
        let DeviceEndpoint { url, document } = self.device_endpoint().await?;
        // Some servers read the client id in the body alone, whatever the header says.
        let client = self.0.authentication.clone().client_id_in_body();
        let own = self.for_client(client)?;
        let _place = self.0.queue.enter_anyway(self.client()).await;
        let mut form = Form::default();
        for (name, value) in parameters.form_fields() {
            form.push(name, value);
        }
        let supported = document.as_deref().map(|document| &document.supported);
        let asked_at = self.now();
        let answered = async {
            let answer = own.0.post(url.clone(), form, supported, None).await?;
            device_codes::read(&answer, self.now())
        };
        let codes = answered.await.map_err(|error| error.at_server(&url))?;
        Ok((codes, asked_at))
    }

    async fn device_endpoint(&self) -> Result<DeviceEndpoint, Error> {
        if let Some(url) = &self.0.device_authorization_url {
            return Ok(DeviceEndpoint {
                url: url.clone(),
                document: None,
            });
        }
        let none = || {
            Error::settings(
                "no device authorization endpoint is known; give the issuer of a server that has one, or \
                 `device_authorization_url` when building the token endpoint",
            )
            .got(HowFar::NotSent)
        };
        let discovery = match &self.0.place {
            Place::Fixed(_, None) => return Err(none()),
            Place::Fixed(_, Some(discovery)) | Place::Discovered(discovery) => discovery,
        };
        let document = discovery.document().await?;
        let named = &document.front_channel.device;
        named.usable("a device authorization endpoint")?;
        let url = discovery.device_endpoint(self.0.has_certificate()).await?;
        Ok(DeviceEndpoint {
            url: url.ok_or_else(none)?,
            document: Some(document),
        })
    }
}
