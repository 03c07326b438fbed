//! What a server's document says of authorization requests (RFC 8414 section 2, RFC 9126 section 5, RFC 9207
//! section 3, RFC 8628 section 4).

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::endpoint::address::{self, PlainHttp};
use crate::error::{Error, HowFar};

/// Tokens can be had without any of it, so what is wrong here is no fault of the document before somebody
/// wants to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontChannel {
    /// `authorization_endpoint`
    pub(crate) authorization: Named,
    /// `pushed_authorization_request_endpoint`
    pub(crate) pushed: Named,
    /// `device_authorization_endpoint`
    pub(crate) device: Named,
    /// `require_pushed_authorization_requests`
    pub(crate) must_be_pushed: bool,
    /// `authorization_response_iss_parameter_supported`: each redirect brings the issuer.
    pub(crate) names_issuer: bool,
}

/// An endpoint that a document may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Named {
    #[default]
    No,
    At(Url),
    /// It is there and cannot be used, for this reason.
    Unusable(&'static str),
}

#[derive(Deserialize)]
pub(crate) struct Members {
    authorization_endpoint: Option<Value>,
    pushed_authorization_request_endpoint: Option<Value>,
    device_authorization_endpoint: Option<Value>,
    require_pushed_authorization_requests: Option<Value>,
    authorization_response_iss_parameter_supported: Option<Value>,
}

impl Members {
    pub(crate) fn check(&self, plain_http: PlainHttp) -> FrontChannel {
        let named = |member: &Option<Value>| named(member, plain_http);
        let is_true = |member: &Option<Value>| *member == Some(Value::Bool(true));
        FrontChannel {
            authorization: named(&self.authorization_endpoint),
            pushed: named(&self.pushed_authorization_request_endpoint),
            device: named(&self.device_authorization_endpoint),
            must_be_pushed: is_true(&self.require_pushed_authorization_requests),
            names_issuer: is_true(&self.authorization_response_iss_parameter_supported),
        }
    }
}

/// What a document says of an endpoint.
pub(crate) fn named(member: &Option<Value>, plain_http: PlainHttp) -> Named {
    match member {
        None | Some(Value::Null) => Named::No,
        Some(Value::String(text)) => match address::check(text, plain_http) {
            Ok(url) => Named::At(url),
            Err(fault) => Named::Unusable(fault),
        },
        Some(_) => Named::Unusable("is no text"),
    }
}

impl Named {
    /// The endpoint, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be used; `what` it is called in the message.
    pub(crate) fn usable(&self, what: &str) -> Result<Option<Url>, Error> {
        match self {
            Self::No => Ok(None),
            Self::At(url) => Ok(Some(url.clone())),
            Self::Unusable(fault) => Err(Error::protocol(format!(
                "the discovery document names {what} that {fault}"
            ))
            .got(HowFar::NotSent)),
        }
    }
}
