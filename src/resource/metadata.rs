//! What an API says of itself (RFC 9728 section 2), and that it is this API.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use serde_json::{Map, Value};

use crate::endpoint::members::texts;
use crate::error::Error;
use crate::origin::{has_userinfo, same_origin};
use crate::parameters::TokenParameters;

/// The metadata of a [`ProtectedResource`](crate::ProtectedResource), which has been found to be of that API.
///
/// The texts are the API's own; `Debug` shows its `resource` alone.
#[derive(Clone)]
pub struct ResourceMetadata {
    document: Arc<Document>,
    /// What a challenge has asked for.
    scope: Option<String>,
}

/// A document that is the API's.
#[derive(Debug)]
pub(crate) struct Document {
    /// As it is written; `None` where there was no document.
    resource: Option<String>,
    servers: Vec<String>,
    scopes: Vec<String>,
    members: Map<String, Value>,
}

impl ResourceMetadata {
    pub(super) fn new(document: Arc<Document>, scope: Option<String>) -> Self {
        Self { document, scope }
    }

    /// The resource indicator (RFC 8707) by which tokens for the API are asked for, letter by letter as the
    /// API writes it. `None` where there is no metadata, and that is
    /// [allowed](crate::ProtectedResourceBuilder::own_origin_without_metadata).
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.document.resource.as_deref()
    }

    /// The issuers of the authorization servers that the API takes tokens of, in its order. They have not been
    /// asked, and are no more than texts so far.
    #[must_use]
    pub fn authorization_servers(&self) -> &[String] {
        &self.document.servers
    }

    /// The scopes that the API knows (`scopes_supported`). Empty if it does not say.
    #[must_use]
    pub fn scopes_supported(&self) -> &[String] {
        &self.document.scopes
    }

    /// The scopes to ask for: those of the challenge, if it had some, else all of
    /// [`scopes_supported`](Self::scopes_supported). `None` if neither says.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        let supported = &self.document.scopes;
        let all = || (!supported.is_empty()).then(|| supported.join(" "));
        self.scope.clone().or_else(all)
    }

    /// What a token request or a sign-in asks for, so that its token is good at the API: the
    /// [`scope`](Self::scope) and the [`resource`](Self::resource).
    #[must_use]
    pub fn parameters(&self) -> TokenParameters {
        let scope = self.scope().unwrap_or_default();
        let wanted = self.refresh_parameters();
        wanted.scope(scope)
    }

    /// The same for the refreshes of users' sessions
    /// ([`UserSessionsBuilder::parameters`](crate::UserSessionsBuilder::parameters)): the
    /// [`resource`](Self::resource) alone, since a refresh has the scopes that the user has granted.
    #[must_use]
    pub fn refresh_parameters(&self) -> TokenParameters {
        match self.resource() {
            Some(resource) => TokenParameters::new().resource(resource),
            None => TokenParameters::new(),
        }
    }

    /// Any other member, such as `resource_name` or `dpop_bound_access_tokens_required`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.document.members.get(name)
    }
}

impl Document {
    /// # Errors
    /// If it is no metadata, or that of another API; without any text of it but for its origin.
    pub(super) fn read(body: &[u8], api: &Url) -> Result<Self, Error> {
        let members: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Error::protocol("the metadata of the API is no JSON object"))?;
        let resource = members.get("resource").and_then(Value::as_str);
        let resource = resource
            .ok_or_else(|| Error::protocol("the metadata of the API names no `resource`"))?;
        if !is_of(resource, api) {
            return Err(Error::protocol(
                "the metadata is that of another resource: its `resource` is neither the URL of the API nor a \
                 parent of it at the same origin (RFC 9728 section 3.3)",
            ));
        }
        Ok(Self {
            resource: Some(resource.to_owned()),
            servers: texts(members.get("authorization_servers")),
            scopes: texts(members.get("scopes_supported")),
            members,
        })
    }

    /// That of an API which has none, and is its own authorization server.
    pub(super) fn own_server(api: &Url) -> Self {
        Self {
            resource: None,
            servers: vec![api.origin().ascii_serialization()],
            scopes: Vec::new(),
            members: Map::new(),
        }
    }
}

/// Whether an API is a resource, or a part of it: the URL itself, or one whose path begins with all segments of
/// the resource's, at the same origin. RFC 9728 section 3.3 wants the URL itself; many APIs have one resource
/// for all of their paths.
fn is_of(resource: &str, api: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else {
        return false;
    };
    if resource.query().is_some() || resource.fragment().is_some() || has_userinfo(&resource) {
        return false;
    }
    let path = resource.path().trim_end_matches('/');
    let rest = api.path().strip_prefix(path);
    same_origin(&resource, api) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Debug for ResourceMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ResourceMetadata")
            .field("resource", &self.resource())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use reqwest::Url;

    use super::{Document, is_of};

    #[test]
    fn a_resource_is_the_api_or_a_parent_of_it_by_whole_segments_at_its_origin() {
        // I5
        let api = Url::parse("https://api.example.com/v1/orders").unwrap();
        for good in [
            "https://api.example.com/v1/orders",
            "https://api.example.com/v1/orders/",
            "https://api.example.com/v1",
            "https://api.example.com/v1/",
            "https://api.example.com/",
            "https://api.example.com",
            "https://API.example.com:443/v1",
        ] {
            assert!(is_of(good, &api), "{good}");
        }
        for other in [
            "",
            "orders",
            "/v1",
            "https://api.example.com/v1/orders/42",
            "https://api.example.com/v1/order",
            "https://api.example.com/v",
            "https://api.example.com/V1",
            "https://api.example.com/v1?x",
            "https://api.example.com/v1#x",
            "https://u@api.example.com/v1",
            "https://api.example.com:8443/v1",
            "http://api.example.com/v1",
            "https://example.com/v1",
            "https://evil.example.com/v1/orders",
            "https://api.example.com.evil.example/v1",
        ] {
            assert!(!is_of(other, &api), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_metadata_makes_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            // I5
            let api = Url::parse("https://api.example.com/v1").unwrap();
            let _ = Document::read(&body, &api);
        }
    }
}
