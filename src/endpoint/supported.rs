//! What a server's document lists for client authentication at its token endpoint (RFC 8414 section 2).

#[cfg(feature = "signing")]
use crate::error::{Error, HowFar};

/// The names in a document that RFCs have, for messages: whatever else is in there is the server's own.
#[cfg(feature = "signing")]
const NAMES: [&str; 20] = [
    "none",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "ES256",
    "ES384",
    "ES512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
    "HS256",
    "HS384",
    "HS512",
];

/// An empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Supported {
    /// `token_endpoint_auth_methods_supported`
    pub(crate) methods: Vec<String>,
    /// `token_endpoint_auth_signing_alg_values_supported`
    pub(crate) algorithms: Vec<String>,
}

#[cfg(feature = "signing")]
impl Supported {
    /// # Errors
    /// If there is a list, and what a request would use is not in it.
    pub(crate) fn check(&self, method: &str, algorithm: &str) -> Result<(), Error> {
        self.check_method(method)?;
        check(&self.algorithms, algorithm)
    }

    /// # Errors
    /// If there is a list of methods, and this one is not in it.
    pub(crate) fn check_method(&self, method: &str) -> Result<(), Error> {
        check(&self.methods, method)
    }
}

#[cfg(feature = "signing")]
fn check(list: &[String], wanted: &str) -> Result<(), Error> {
    if list.is_empty() || list.iter().any(|listed| listed == wanted) {
        Ok(())
    } else {
        Err(not_listed(list, wanted))
    }
}

#[cfg(feature = "signing")]
fn not_listed(list: &[String], wanted: &str) -> Error {
    let known = NAMES.into_iter();
    let known: Vec<_> = known
        .filter(|known| list.iter().any(|listed| listed == known))
        .map(|known| format!("`{known}`"))
        .collect();
    let listed = if known.is_empty() {
        "others that are not known here".to_owned()
    } else {
        known.join(", ")
    };
    Error::settings(format!(
        "the discovery document of the authorization server does not list `{wanted}` for its token \
         endpoint, but {listed}; use what it lists, or give the token URL itself if the document is wrong"
    ))
    .got(HowFar::NotSent)
}
