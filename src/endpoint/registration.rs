//! What a program says of itself to become a client of an authorization server (RFC 7591 section 2).

use std::fmt;

use reqwest::Url;
use serde_json::{Map, Value};

use crate::endpoint::supported::Supported;
use crate::error::{Error, HowFar};
use crate::origin::is_secure;
use crate::secret::Secret;

/// The members that have a method of their own.
const OWN: [&str; 7] = [
    "redirect_uris",
    "client_name",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "scope",
    "software_statement",
];
const NATIVE: &str = "native";
const WEB: &str = "web";

/// A request to register this program as a client (RFC 7591 section 3.1), for
/// [`AuthorizationServer::register`](crate::AuthorizationServer::register).
///
/// ```
/// use reqwest_bearer::RegistrationRequest;
///
/// let request = RegistrationRequest::new()
///     .client_name("orders-cli")
///     .redirect_uri("http://127.0.0.1/callback")
///     .member("client_uri", "https://example.com/orders-cli");
/// ```
///
/// `Debug` shows names, and neither the values of other members nor a token.
#[derive(Clone, Default)]
pub struct RegistrationRequest {
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    grant_types: Vec<String>,
    method: Option<String>,
    scope: Option<String>,
    software_statement: Option<Secret>,
    members: Map<String, Value>,
    initial_access_token: Option<Secret>,
}

impl RegistrationRequest {
    /// A request that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a redirect URI, to which users come back from a sign-in (`redirect_uris`).
    ///
    /// With them goes `application_type` (OpenID Connect Registration section 2), which servers check them
    /// by: `web` if all are https, else `native`, as a redirect to this machine is. Another one is set by
    /// [`member`](Self::member).
    /// Default: none, for a client that signs no user in.
    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// What users are shown as the name of the program (`client_name`).
    /// Default: none.
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Adds a grant that the client is to use (`grant_types`), such as `client_credentials` or
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    /// Default: `authorization_code` and `refresh_token` with a redirect URI, else `client_credentials`.
    #[must_use]
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_types.push(grant_type.into());
        self
    }

    /// How the client proves who it is (`token_endpoint_auth_method`): `none`, `client_secret_basic`, ... With
    /// `private_key_jwt` the key goes along as [`member`](Self::member) `jwks` or `jwks_uri`.
    /// Default: the first of those that the server's document lists, in this order: `client_secret_basic`,
    /// `client_secret_post`, `none`; with a redirect to this machine or an app `none` comes first, since what
    /// every user has is no secret. If the document lists none of them, the server decides.
    #[must_use]
    pub fn authentication_method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// The scopes that the client may ask for, separated by spaces (`scope`).
    /// Default: the server decides.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A signed statement of somebody whom the server trusts (`software_statement`, RFC 7591 section 2.3).
    /// Default: none.
    #[must_use]
    pub fn software_statement(mut self, statement: impl Into<Secret>) -> Self {
        self.software_statement = Some(statement.into());
        self
    }

    /// Sets any other member, such as `logo_uri`, `contacts`, `jwks` or `application_type`. Those that have a
    /// method are none: registering is then an error.
    /// Default: none but `application_type`, see [`redirect_uri`](Self::redirect_uri).
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The token without which the server registers nobody (RFC 7591 section 1.2).
    /// Default: none; anybody may register.
    #[must_use]
    pub fn initial_access_token(mut self, token: impl Into<Secret>) -> Self {
        self.initial_access_token = Some(token.into());
        self
    }

    pub(super) fn initial_token(&self) -> Option<&Secret> {
        self.initial_access_token.as_ref()
    }

    /// # Errors
    /// If it cannot be meant.
    pub(super) fn check(&self) -> Result<(), Error> {
        let fault = |message: String| Err(Error::settings(message).got(HowFar::NotSent));
        if let Some(name) = OWN.iter().find(|name| self.members.contains_key(**name)) {
            return fault(format!(
                "`{name}` of a registration is set by a method, or follows from one; it cannot be another \
                 member"
            ));
        }
        for uri in &self.redirect_uris {
            match Url::parse(uri) {
                Err(_) => return fault("a redirect URI is not an absolute URL".to_owned()),
                Ok(url) if url.fragment().is_some() => {
                    return fault("a redirect URI has a fragment (`#...`)".to_owned());
                }
                Ok(_) => {}
            }
        }
        let in_header = |token: &Secret| {
            let text = token.expose();
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.initial_access_token.as_ref().is_none_or(in_header) {
            return fault(
                "the initial access token is empty, or no header can carry it".to_owned(),
            );
        }
        Ok(())
    }

    /// What is sent, and the way of client authentication in it.
    pub(super) fn body(&self, supported: Option<&Supported>) -> (Vec<u8>, Option<String>) {
        let mut members = self.members.clone();
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        let grant_types = self.grant_types();
        if !self.redirect_uris.is_empty() {
            set("redirect_uris", self.redirect_uris.clone().into());
        }
        if grant_types
            .iter()
            .any(|grant| grant == "authorization_code")
        {
            set("response_types", vec!["code"].into());
        }
        set("grant_types", grant_types.into());
        let method = self.method(supported);
        let texts = [
            ("client_name", &self.client_name),
            ("token_endpoint_auth_method", &method),
            ("scope", &self.scope),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                set(name, text.as_str().into());
            }
        }
        if let Some(statement) = &self.software_statement {
            set("software_statement", statement.expose().into());
        }
        if !self.redirect_uris.is_empty() {
            let application = if self.is_native() { NATIVE } else { WEB };
            let known = members.entry("application_type");
            known.or_insert_with(|| application.into());
        }
        (Value::Object(members).to_string().into_bytes(), method)
    }

    fn grant_types(&self) -> Vec<String> {
        let usual: &[&str] = match (self.grant_types.as_slice(), self.redirect_uris.is_empty()) {
            ([], true) => &["client_credentials"],
            ([], false) => &["authorization_code", "refresh_token"],
            (own, _) => return own.to_vec(),
        };
        usual.iter().map(|grant| (*grant).to_owned()).collect()
    }

    fn method(&self, supported: Option<&Supported>) -> Option<String> {
        const CONFIDENTIAL: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];
        const PUBLIC: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];
        if self.method.is_some() {
            return self.method.clone();
        }
        let listed = &supported?.methods;
        let wanted = if self.is_native() {
            PUBLIC
        } else {
            CONFIDENTIAL
        };
        let is_listed = |method: &&str| listed.iter().any(|other| other == method);
        wanted.into_iter().find(is_listed).map(str::to_owned)
    }

    /// Whether it runs where its users are.
    fn is_native(&self) -> bool {
        let is_web = |uri: &String| {
            Url::parse(uri).is_ok_and(|url| url.scheme() == "https" && is_secure(&url))
        };
        !self.redirect_uris.iter().all(is_web)
    }
}

impl fmt::Debug for RegistrationRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistrationRequest")
            .field("redirect_uris", &self.redirect_uris)
            .field("client_name", &self.client_name)
            .field("grant_types", &self.grant_types)
            .field("authentication_method", &self.method)
            .field("scope", &self.scope)
            .field("software_statement", &self.software_statement)
            .field("members", &self.members.keys())
            .field("initial_access_token", &self.initial_access_token)
            .finish()
    }
}
