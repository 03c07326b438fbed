//! The form that a request to an authorization server consists of.

use std::fmt;

use form_urlencoded::Serializer;
use serde::{Serialize, Serializer as _};

use crate::dpop::DpopKey;
use crate::endpoint::verdict::Asked;
use crate::error::{Error, HowFar};
use crate::parameters::TokenParameters;
use crate::secret::Secret;

/// A token request (RFC 6749 section 4), for a grant of your own.
///
/// ```no_run
/// # async fn example(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::TokenRequest;
///
/// let request = TokenRequest::new("urn:ietf:params:oauth:grant-type:uma-ticket")
///     .secret_field("ticket", "016f84e8-f9b9-11e0-bd6f-0021cc6004de");
/// let response = endpoint.request_token(request).await?;
/// # Ok(()) }
/// ```
///
/// The client's authentication is added when it is sent. Its `Debug` output names the fields and
/// shows no value.
#[derive(Clone)]
pub struct TokenRequest {
    form: Form,
    /// What the token is to be bound to.
    dpop_key: Option<DpopKey>,
    /// What it brings is for no API, but for another authorization server.
    is_for_another_server: bool,
    /// What is wrong with the parameters that were added, told when the request is to be sent.
    fault: Option<Error>,
}

impl TokenRequest {
    /// A request with this `grant_type`.
    #[must_use]
    pub fn new(grant_type: impl Into<String>) -> Self {
        let empty = Self {
            form: Form::default(),
            dpop_key: None,
            is_for_another_server: false,
            fault: None,
        };
        empty.field("grant_type", grant_type)
    }

    /// Adds a field, after those that are there.
    #[must_use]
    pub fn field(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secret_field(name, value.into())
    }

    /// Adds a field whose value is wiped from memory afterwards: a code, a token, an assertion.
    #[must_use]
    pub fn secret_field(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.form.push(name, value);
        self
    }

    /// Adds scope, resource, audience and the extra parameters, as far as they are set. With an extra
    /// parameter that a request has anyway, sending it is an error
    /// ([`TokenParameters::extra`]).
    #[must_use]
    pub fn parameters(mut self, parameters: &TokenParameters) -> Self {
        self.fault = self.fault.or_else(|| parameters.check().err());
        parameters
            .form_fields()
            .fold(self, |request, (name, value)| request.field(name, value))
    }

    /// Asks for a token that is bound to this key: a proof of having it goes along (RFC 9449 section 5). A
    /// grant of your own hands on [`GrantRequest::dpop_key`](crate::GrantRequest::dpop_key) by it.
    /// Default: no proof, for a bearer token.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop(self, key: Option<&DpopKey>) -> Self {
        self.bound_to(key)
    }

    pub(crate) fn bound_to(mut self, key: Option<&DpopKey>) -> Self {
        self.dpop_key = key.cloned();
        self
    }

    /// Asks for what another authorization server takes.
    pub(crate) fn for_another_server(mut self) -> Self {
        self.is_for_another_server = true;
        self
    }

    /// What the token is to be bound to.
    pub(crate) fn dpop_key(&self) -> Option<&DpopKey> {
        self.dpop_key.as_ref()
    }

    /// The scopes that are asked for, if any.
    pub(crate) fn scope(&self) -> Option<String> {
        self.form.value("scope").map(ToOwned::to_owned)
    }

    /// What the answer will be about.
    pub(crate) fn asked(&self) -> Asked {
        let mut asked = Asked::by(self.form.value("grant_type"));
        if self.is_for_another_server {
            asked = asked.for_another_server();
        }
        match self.dpop_key {
            Some(_) => asked.proven(),
            None => asked,
        }
    }

    /// The form, if there is nothing wrong with it.
    pub(crate) fn into_form(self) -> Result<Form, Error> {
        match self.fault {
            Some(fault) => Err(fault.got(HowFar::NotSent)),
            None => Ok(self.form),
        }
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("TokenRequest")
            .field(&self.form)
            .finish()
    }
}

/// Names and values in the order in which they are sent.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, Secret)>);

impl Form {
    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.0.push((name.into(), value.into()));
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields.find_map(|(known, value)| (known == name).then(|| value.expose()))
    }

    /// Whether the same request can be made again, and any number of times, if its answer is lost.
    pub(crate) fn spends_nothing(&self) -> bool {
        self.value("grant_type") == Some("client_credentials")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// As a JSON object of texts; what is there more than once, such as `resource`, as a list of them.
    pub(crate) fn encode_json(&self) -> Vec<u8> {
        // Room for all of it, each byte as `\u0000`, as in `encode`.
        let room = |(name, value): &(String, Secret)| 8 + 6 * (name.len() + value.expose().len());
        let most = self.0.iter().map(room).sum::<usize>() + 2;
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value.expose()),
                None => fields.push((name, vec![value.expose()])),
            }
        }
        let mut body = Vec::with_capacity(most);
        let mut serializer = serde_json::Serializer::new(&mut body);
        let written = serializer.collect_map(fields.into_iter().map(|(name, values)| {
            let value = match values.as_slice() {
                [value] => Field::One(value),
                _ => Field::Many(values),
            };
            (name, value)
        }));
        debug_assert!(written.is_ok(), "texts can be written into memory");
        body
    }

    /// As `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    pub(crate) fn encode(&self) -> String {
        // Room for all of it, each byte as `%00`: a text that grew would leave secrets in freed memory.
        let room = |(name, value): &(String, Secret)| 2 + 3 * (name.len() + value.expose().len());
        let most = self.0.iter().map(room).sum();
        let mut text = Serializer::new(String::with_capacity(most));
        for (name, value) in &self.0 {
            text.append_pair(name, value.expose());
        }
        text.finish()
    }
}

/// A value of a JSON body.
#[derive(Serialize)]
#[serde(untagged)]
enum Field<'form> {
    One(&'form str),
    Many(Vec<&'form str>),
}

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::TokenRequest;
    use crate::parameters::TokenParameters;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_form_that_was_encoded_is_in_memory_once_more_and_no_more_often() {
        // D6
        use super::Form;
        use crate::secret::Secret;
        use crate::wiping::search::{copies_of, unheard_of};
        for length in [1, 100, 10_000] {
            let secret = Secret::new(unheard_of());
            let mut form = Form::default();
            form.push("refresh_token", secret.clone());
            form.push("scope", "ü".repeat(length));
            form.push("client_secret", "%".repeat(length));
            let body = form.encode();
            assert!(body.contains(secret.expose()));
            let copies = copies_of(secret.expose());
            assert_eq!(copies, 3, "{length}: ours, the form's, and the body's");
        }
    }

    #[test]
    fn a_form_is_encoded_by_the_rfc_and_keeps_its_order() {
        // E5
        let parameters = TokenParameters::new()
            .scope("b a")
            .resource("https://x/?a&b")
            .resource("https://y")
            .extra("ünï", "=");
        let form = TokenRequest::new("g")
            .field("a b", "c+d%")
            .parameters(&parameters)
            .into_form()
            .unwrap();
        assert_eq!(
            form.encode(),
            "grant_type=g&a+b=c%2Bd%25&scope=b+a&resource=https%3A%2F%2Fx%2F%3Fa%26b\
             &resource=https%3A%2F%2Fy&%C3%BCn%C3%AF=%3D"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_json_body_leaves_no_copy_of_a_secret_behind() {
        // D6
        use super::Form;
        use crate::secret::Secret;
        use crate::wiping::search::{copies_of, unheard_of};
        for length in [1, 100, 10_000] {
            let secret = Secret::new(unheard_of());
            let mut form = Form::default();
            form.push("refresh_token", secret.clone());
            form.push("scope", "\u{1}".repeat(length));
            form.push("client_secret", "\"".repeat(length));
            let body = form.encode_json();
            assert!(body.len() > 6 * length);
            assert_eq!(copies_of(secret.expose()), 3, "{length}");
        }
    }

    #[test]
    fn a_json_body_has_texts_and_lists_of_them() {
        // K26
        let parameters = TokenParameters::new()
            .scope("b a")
            .resource("https://x/?a&b")
            .resource("https://y")
            .extra("\u{fc}\"", "\n");
        let form = TokenRequest::new("g").parameters(&parameters);
        let form = form.into_form().unwrap();
        let body = String::from_utf8(form.encode_json()).unwrap();
        assert_eq!(
            body,
            r#"{"grant_type":"g","scope":"b a","resource":["https://x/?a&b","https://y"],"ü\"":"\n"}"#
        );
        assert_eq!(super::Form::default().encode_json(), b"{}");
    }

    #[test]
    fn a_request_shows_names_only() {
        // D6
        let request = TokenRequest::new("canary-a")
            .field("code_verifier", "canary-b")
            .secret_field("code", "canary-c");
        assert_eq!(
            format!("{request:?}"),
            r#"TokenRequest(["grant_type", "code_verifier", "code"])"#
        );
    }
}
