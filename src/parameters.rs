//! What narrows a token: scope, resource, audience and whatever else a server takes.

use std::collections::BTreeMap;
use std::fmt;

/// Scopes, resources, audiences and extra parameters.
type Parts = (
    Vec<String>,
    Vec<String>,
    Vec<String>,
    BTreeMap<String, String>,
);

/// What a token request asks for besides the grant itself.
///
/// Part of the key that an access token is cached under: two requests with equal parameters share
/// a token, all others never do. The order in which values were given does not matter.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenParameters {
    scope: Vec<String>,
    resource: Vec<String>,
    audience: Vec<String>,
    extra: BTreeMap<String, String>,
}

impl TokenParameters {
    /// Nothing: the grant's own settings apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds scopes, separated by spaces (RFC 6749 section 3.3).
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        for value in scope.as_ref().split_ascii_whitespace() {
            insert_sorted(&mut self.scope, value);
        }
        self
    }

    /// Adds a resource, an absolute URI (RFC 8707 section 2).
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        insert_sorted(&mut self.resource, resource.as_ref());
        self
    }

    /// Adds an audience, as Auth0 and RFC 8693 have it.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        insert_sorted(&mut self.audience, audience.as_ref());
        self
    }

    /// Sets a parameter that only your server knows, such as `acr_values` or `tenant`.
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

    pub(crate) fn into_parts(self) -> Parts {
        (self.scope, self.resource, self.audience, self.extra)
    }

    /// What [`into_parts`](Self::into_parts) took apart, or somebody who writes records by hand.
    pub(crate) fn from_parts(
        mut scope: Vec<String>,
        mut resource: Vec<String>,
        mut audience: Vec<String>,
        extra: BTreeMap<String, String>,
    ) -> Self {
        for values in [&mut scope, &mut resource, &mut audience] {
            values.sort_unstable();
            values.dedup();
        }
        Self {
            scope,
            resource,
            audience,
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

fn insert_sorted(values: &mut Vec<String>, value: &str) {
    if let Err(place) = values.binary_search_by(|known| known.as_str().cmp(value)) {
        values.insert(place, value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::TokenParameters;

    #[test]
    fn the_order_of_scopes_does_not_make_another_token() {
        // D8
        let one = TokenParameters::new().scope("b a").scope("c");
        let other = TokenParameters::new().scope("c  a b a");
        assert_eq!(one, other);
        assert_eq!(one.scope_text().as_deref(), Some("a b c"));
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
