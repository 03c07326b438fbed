//! What narrows a token: scope, resource, audience and whatever else a server takes.

mod claims;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Error;

/// Scopes, resources, audiences and extra parameters.
type Parts = (
    Vec<String>,
    Vec<String>,
    Vec<String>,
    BTreeMap<String, String>,
);

/// The fields that a token request has by itself. A second one of the same name would be refused by the
/// server (RFC 6749 section 3.2), or taken for the first.
const RESERVED: [&str; 14] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "refresh_token",
    "code",
    "code_verifier",
    "redirect_uri",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
];
/// The fields that have a method of their own.
const WITH_METHOD: [&str; 3] = ["scope", "resource", "audience"];

/// The claims that a token is to have, as a JSON object.
const CLAIMS: &str = "claims";

/// Whether a token request may have a field of this name by itself.
pub(crate) fn is_field_of_requests(name: &str) -> bool {
    RESERVED.contains(&name) || WITH_METHOD.contains(&name)
}

/// What a token request asks for besides the grant itself.
///
/// Scopes, resources and audiences are sent in the order in which they were given, each once. Part of
/// the key that an access token is cached under: two requests with equal parameters share a token, all
/// others never do. Another order makes another token, since some servers go by it: Entra issues the
/// token for the API of the first scope.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenParameters {
    scope: Vec<String>,
    resource: Vec<String>,
    audience: Vec<String>,
    extra: BTreeMap<String, String>,
}

impl TokenParameters {
    /// What [`new`](Self::new) gives, where there is no room for it.
    pub(crate) const NONE: Self = Self {
        scope: Vec::new(),
        resource: Vec::new(),
        audience: Vec::new(),
        extra: BTreeMap::new(),
    };

    /// Nothing: the grant's own settings apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds scopes, separated by spaces (RFC 6749 section 3.3), after those that are there.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        let scopes = scope.as_ref().split_ascii_whitespace();
        add_each_once(&mut self.scope, scopes.map(ToOwned::to_owned));
        self
    }

    /// Adds a resource, an absolute URI (RFC 8707 section 2).
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        add_each_once(&mut self.resource, [resource.as_ref().to_owned()]);
        self
    }

    /// Adds an audience, as Auth0 and RFC 8693 have it.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        add_each_once(&mut self.audience, [audience.as_ref().to_owned()]);
        self
    }

    /// Sets a parameter that only your server knows, such as `acr_values` or `tenant`.
    ///
    /// The fields that a token request has anyway are none: `scope`, `resource` and `audience`, which
    /// have methods of their own, and `grant_type`, `client_id`, `client_secret`, `client_assertion`,
    /// `client_assertion_type`, `refresh_token`, `code`, `code_verifier` and `redirect_uri`. With one
    /// of these, [`ErrorKind::Settings`](crate::ErrorKind::Settings) comes when the source is built, or
    /// of the call, and nothing is sent.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scope.is_empty()
            && self.resource.is_empty()
            && self.audience.is_empty()
            && self.extra.is_empty()
    }

    /// The scopes as one text, separated by spaces; `None` if none was asked for.
    #[must_use]
    pub fn scope_text(&self) -> Option<String> {
        (!self.scope.is_empty()).then(|| self.scope.join(" "))
    }

    /// These parameters, and `defaults` for each kind that these leave out.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let first = |own: &Vec<String>, other: &Vec<String>| {
            if own.is_empty() {
                other.clone()
            } else {
                own.clone()
            }
        };
        let mut extra = defaults.extra.clone();
        extra.extend(self.extra.clone());
        Self {
            scope: first(&self.scope, &defaults.scope),
            resource: first(&self.resource, &defaults.resource),
            audience: first(&self.audience, &defaults.audience),
            extra,
        }
    }

    /// The same with these claims, a JSON object, among those that are asked for already (OpenID Connect
    /// Core section 5.5).
    #[must_use]
    pub(crate) fn with_claims(mut self, claims: &str) -> Self {
        let asked = self.extra.get(CLAIMS).map(String::as_str);
        let merged = claims::merged(asked.unwrap_or_default(), claims);
        self.extra.insert(CLAIMS.to_owned(), merged);
        self
    }

    /// Finds extra parameters that a request has anyway.
    ///
    /// # Errors
    /// Names the field, and never its value.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.fault()
            .map_or(Ok(()), |fault| Err(Error::settings(fault)))
    }

    /// The same for what a grant was made with, which is far from the call that meets it.
    pub(crate) fn check_grant(&self) -> Result<(), Error> {
        self.fault().map_or(Ok(()), |fault| {
            let message = format!("the grant's own parameters are wrong: {fault}");
            Err(Error::settings(message).of_setting("extra"))
        })
    }

    fn fault(&self) -> Option<String> {
        let name = self.extra.keys().map(String::as_str).find(|name| {
            let mut known = RESERVED.iter().chain(&WITH_METHOD);
            known.any(|known| known == name)
        })?;
        Some(if WITH_METHOD.contains(&name) {
            format!("`{name}` cannot be an extra parameter; give it by `{name}(..)`")
        } else {
            format!(
                "`{name}` cannot be an extra parameter, since each token request has it by itself, \
                 or must not have it"
            )
        })
    }

    pub(crate) fn into_parts(self) -> Parts {
        (self.scope, self.resource, self.audience, self.extra)
    }

    /// What [`into_parts`](Self::into_parts) took apart, or somebody who writes records by hand.
    pub(crate) fn from_parts(
        scope: Vec<String>,
        resource: Vec<String>,
        audience: Vec<String>,
        extra: BTreeMap<String, String>,
    ) -> Self {
        let each_once = |values: Vec<String>| {
            let mut kept = Vec::with_capacity(values.len());
            add_each_once(&mut kept, values);
            kept
        };
        Self {
            scope: each_once(scope),
            resource: each_once(resource),
            audience: each_once(audience),
            extra,
        }
    }

    /// The fields of the form that a token request sends for these parameters.
    pub fn form_fields(&self) -> impl Iterator<Item = (&str, String)> {
        let scope = self.scope_text().map(|scope| ("scope", scope));
        let resource = self.resource.iter().map(|uri| ("resource", uri.clone()));
        let audience = self.audience.iter().map(|name| ("audience", name.clone()));
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        scope
            .into_iter()
            .chain(resource)
            .chain(audience)
            .chain(extra)
    }
}

impl fmt::Debug for TokenParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of the extra ones may be secrets, such as an assertion.
        formatter
            .debug_struct("TokenParameters")
            .field("scope", &self.scope)
            .field("resource", &self.resource)
            .field("audience", &self.audience)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

/// Where one is there already, it keeps its place.
fn add_each_once(values: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for value in more {
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TokenParameters;
    use crate::error::ErrorKind;

    /// The fields in a form, as `name=value`.
    fn fields(parameters: &TokenParameters) -> Vec<String> {
        let fields = parameters.form_fields();
        fields
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn scopes_resources_and_audiences_stay_in_the_order_given_without_duplicates() {
        // D8, K25
        let parameters = TokenParameters::new()
            .scope("c a\tb  a")
            .scope("d c")
            .resource("https://y")
            .resource("https://x")
            .resource("https://y")
            .audience("two")
            .audience("one")
            .audience("two")
            .extra("z", "1")
            .extra("a", "2")
            .extra("z", "3");
        let expected = [
            "scope=c a b d",
            "resource=https://y",
            "resource=https://x",
            "audience=two",
            "audience=one",
            "a=2",
            "z=3",
        ];
        assert_eq!(fields(&parameters), expected);
        assert_eq!(parameters.scope_text().as_deref(), Some("c a b d"));
        let (scope, resource, audience, extra) = parameters.clone().into_parts();
        let twice = |values: &[String]| [values, values].concat();
        let read = TokenParameters::from_parts(
            twice(&scope),
            twice(&resource),
            twice(&audience),
            extra.clone(),
        );
        assert_eq!(read, parameters);
        assert_eq!(fields(&read), expected);
    }

    #[test]
    fn another_order_makes_another_token_but_for_extra_parameters() {
        // D8, K25: Entra issues the token for the API of the first scope.
        let new = TokenParameters::new;
        for (one, other, same) in [
            (new().scope("a b"), new().scope("b a"), false),
            (new().scope("a b"), new().scope("a").scope("b a"), true),
            (
                new().resource("a").resource("b"),
                new().resource("b").resource("a"),
                false,
            ),
            (
                new().audience("a").audience("b"),
                new().audience("b").audience("a"),
                false,
            ),
            (
                new().extra("a", "1").extra("b", "2"),
                new().extra("b", "2").extra("a", "1"),
                true,
            ),
        ] {
            assert_eq!(one == other, same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_field_that_the_request_has_anyway_is_no_extra_parameter() {
        // D8, D6
        for (name, said) in [
            ("grant_type", "`grant_type`"),
            ("client_id", "`client_id`"),
            ("client_secret", "`client_secret`"),
            ("client_assertion", "`client_assertion`"),
            ("client_assertion_type", "`client_assertion_type`"),
            ("refresh_token", "`refresh_token`"),
            ("code", "`code`"),
            ("code_verifier", "`code_verifier`"),
            ("redirect_uri", "`redirect_uri`"),
            ("scope", "`scope(..)`"),
            ("resource", "`resource(..)`"),
            ("audience", "`audience(..)`"),
        ] {
            let parameters = TokenParameters::new().extra("a", "b").extra(name, "canary");
            for parameters in [
                TokenParameters::new().or(&parameters),
                parameters.or(&TokenParameters::new()),
            ] {
                let error = parameters.check().expect_err(name);
                assert_eq!(error.kind(), ErrorKind::Settings);
                assert!(error.to_string().contains(said), "{error}");
                assert!(!format!("{error:?}").contains("canary"), "{error:?}");
            }
        }
        for name in [
            "",
            "a",
            "digest",
            "acr_values",
            "Scope",
            "claims",
            "assertion",
        ] {
            let parameters = TokenParameters::new()
                .scope("a")
                .resource("https://x")
                .extra(name, "x");
            assert!(parameters.check().is_ok(), "{name}");
        }
    }

    #[test]
    fn an_extra_parameter_shows_its_name_only() {
        // D6
        let shown = format!("{:?}", TokenParameters::new().extra("assertion", "s3cr3t"));
        assert!(shown.contains("assertion") && !shown.contains("s3cr3t"));
    }

    #[test]
    fn every_parameter_makes_another_token() {
        // D8
        let all = [
            TokenParameters::new(),
            TokenParameters::new().scope("x"),
            TokenParameters::new().resource("x"),
            TokenParameters::new().audience("x"),
            TokenParameters::new().extra("x", "x"),
            TokenParameters::new().extra("x", "y"),
        ];
        for (i, one) in all.iter().enumerate() {
            for (j, other) in all.iter().enumerate() {
                assert_eq!(one == other, i == j, "{one:?} {other:?}");
            }
        }
    }
}
