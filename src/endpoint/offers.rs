//! What a server's document offers to clients that it does not know yet, and which scopes it has (RFC 8414
//! section 2).

use serde::Deserialize;
use serde_json::Value;

use crate::endpoint::address::PlainHttp;
use crate::endpoint::front_channel::{Named, named};
use crate::endpoint::members::texts;

/// Tokens can be had without any of it, as with what the front channel needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// `registration_endpoint`
    pub(crate) registration: Named,
    /// `client_id_metadata_document_supported`: a client id may be the URL of a document.
    pub(crate) takes_client_id_urls: bool,
    /// `scopes_supported`
    pub(crate) scopes: Vec<String>,
    /// `dpop_signing_alg_values_supported` (RFC 9449 section 5.1)
    pub(crate) dpop_algorithms: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Members {
    registration_endpoint: Option<Value>,
    client_id_metadata_document_supported: Option<Value>,
    scopes_supported: Option<Value>,
    dpop_signing_alg_values_supported: Option<Value>,
}

impl Members {
    pub(crate) fn check(&self, plain_http: PlainHttp) -> Offers {
        Offers {
            registration: named(&self.registration_endpoint, plain_http),
            takes_client_id_urls: self.client_id_metadata_document_supported
                == Some(Value::Bool(true)),
            scopes: texts(self.scopes_supported.as_ref()),
            dpop_algorithms: texts(self.dpop_signing_alg_values_supported.as_ref()),
        }
    }
}
