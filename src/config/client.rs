//! A client and the API that it is for: one table of `clients`.

use std::time::Duration;

use reqwest::ClientBuilder;

#[cfg(feature = "mtls")]
use crate::config::certificate;
use crate::config::table::Table;
use crate::config::tokens::Source;
use crate::error::Error;
#[cfg(feature = "mtls")]
use crate::mtls::ClientCertificate;
use crate::named::{
    NamedClient, NamedClientBuilder, NamedExchangeClient, NamedExchangeClientBuilder,
    NamedUserClient, NamedUserClientBuilder,
};
use crate::parameters::TokenParameters;

/// What makes a client, by whom its tokens are for.
pub(super) enum Builder {
    Application(NamedClientBuilder),
    Users(NamedUserClientBuilder),
    Callers(NamedExchangeClientBuilder),
}

/// A client of any kind.
pub(super) enum Client {
    Application(NamedClient),
    Users(NamedUserClient),
    Callers(NamedExchangeClient),
}

impl Builder {
    pub(super) fn build(self) -> Result<Client, Error> {
        match self {
            Self::Application(builder) => builder.build().map(Client::Application),
            Self::Users(builder) => builder.build().map(Client::Users),
            Self::Callers(builder) => builder.build().map(Client::Callers),
        }
    }
}

/// What the table of a client says, its source apart.
pub(super) struct Settings {
    base_url: String,
    origins: Vec<String>,
    header: Option<String>,
    scheme: Option<String>,
    flags: Flags,
    http: Http,
    #[cfg(feature = "mtls")]
    certificate: Option<ClientCertificate>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the table, given or not"
)]
struct Flags {
    other_origins_without_token: bool,
    allow_insecure_http: bool,
    without_scheme: bool,
    id_token: bool,
    error_on_ended_session: bool,
}

/// How long requests to the API may take. Of the program is what else its HTTP client is like.
#[derive(Clone, Copy)]
struct Http {
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
}

/// The program's function that makes the builder of each HTTP client.
pub(super) type HttpFn = std::sync::Arc<dyn Fn() -> ClientBuilder + Send + Sync>;

/// The same settings for all three kinds, whose setters have the same names.
macro_rules! with_settings {
    ($builder:expr, $settings:expr, $http:expr) => {{
        let (mut builder, settings) = ($builder, $settings);
        for origin in settings.origins {
            builder = builder.origin(origin);
        }
        if let Some(header) = settings.header {
            builder = builder.header(header);
        }
        if let Some(scheme) = settings.scheme {
            builder = builder.scheme(scheme);
        }
        if settings.flags.other_origins_without_token {
            builder = builder.other_origins_without_token();
        }
        if settings.flags.allow_insecure_http {
            builder = builder.allow_insecure_http();
        }
        if settings.flags.without_scheme {
            builder = builder.without_scheme();
        }
        if settings.flags.id_token {
            builder = builder.id_token();
        }
        if settings.flags.error_on_ended_session {
            builder = builder.error_on_ended_session();
        }
        // With a certificate a client is made for each one that comes.
        #[cfg(feature = "mtls")]
        if let Some(certificate) = settings.certificate {
            builder = builder.client_certificate(certificate);
        }
        match settings.http.or($http) {
            #[cfg(feature = "mtls")]
            Some(http) => builder.http_from_fn(http),
            #[cfg(not(feature = "mtls"))]
            Some(http) => builder.http(http()),
            None => builder,
        }
    }};
}

impl Settings {
    /// Reads them; without a base URL there is no client, which is noted.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        if !table.has("base_url") {
            table.missing(
                "base_url",
                "give the URL of the API, such as `https://api.example.com/v1`",
            );
        }
        let base_url = table.settled_text("base_url");
        let origins = table.texts("origin");
        for origin in &origins {
            let _ = table.is_settled("origin", origin);
        }
        let settings = Self {
            base_url: base_url.clone().unwrap_or_default(),
            origins,
            header: table.text("header"),
            scheme: table.text("scheme"),
            flags: Flags {
                other_origins_without_token: table.flag("other_origins_without_token"),
                allow_insecure_http: table.flag("allow_insecure_http"),
                without_scheme: table.flag("without_scheme"),
                id_token: table.flag("id_token"),
                error_on_ended_session: table.flag("error_on_ended_session"),
            },
            http: Http {
                timeout: table.duration("timeout"),
                connect_timeout: table.duration("connect_timeout"),
            },
            #[cfg(feature = "mtls")]
            certificate: certificate::read(table),
        };
        base_url.map(|_| settings)
    }

    /// The builder of the client of this name.
    pub(super) fn builder(
        self,
        name: &str,
        source: &Source,
        parameters: TokenParameters,
        http: Option<&HttpFn>,
    ) -> Builder {
        let url = self.base_url.clone();
        let is_narrowed = !parameters.is_empty();
        match source {
            Source::Application(source) => {
                let narrowed = is_narrowed.then(|| source.with_parameters(parameters));
                let source = narrowed.as_ref().unwrap_or(source);
                let builder = NamedClient::builder(name, url, source);
                Builder::Application(with_settings!(builder, self, http))
            }
            Source::Users(users) => {
                let narrowed = is_narrowed.then(|| users.with_parameters(parameters));
                let users = narrowed.as_ref().unwrap_or(users);
                let builder = NamedUserClient::builder(name, url, users);
                Builder::Users(with_settings!(builder, self, http))
            }
            Source::Callers(tokens) => {
                let narrowed = is_narrowed.then(|| tokens.with_parameters(parameters));
                let tokens = narrowed.as_ref().unwrap_or(tokens);
                let builder = NamedExchangeClient::builder(name, url, tokens);
                Builder::Callers(with_settings!(builder, self, http))
            }
        }
    }
}

impl Http {
    /// The function that makes the builder; `None` if neither the table nor the program says anything.
    fn or(self, of_program: Option<&HttpFn>) -> Option<impl Fn() -> ClientBuilder + use<>> {
        let says_nothing = self.timeout.is_none() && self.connect_timeout.is_none();
        if says_nothing && of_program.is_none() {
            return None;
        }
        let of_program = of_program.cloned();
        Some(move || {
            let mut builder = of_program
                .as_ref()
                .map_or_else(reqwest::Client::builder, |make| make());
            if let Some(timeout) = self.timeout {
                builder = builder.timeout(timeout);
            }
            if let Some(timeout) = self.connect_timeout {
                builder = builder.connect_timeout(timeout);
            }
            builder
        })
    }
}
