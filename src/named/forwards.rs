//! What the named clients for many have in common with [`NamedClient`](crate::NamedClient), written once: its
//! requests and its settings, passed on.

/// The requests of a client that is made of [`Parts`](crate::named::parts::Parts).
macro_rules! requests {
    ($client:ty) => {
        impl $client {
            /// The plain client inside, for libraries that want one. It joins no paths.
            #[must_use]
            pub fn inner(&self) -> &ClientWithMiddleware {
                self.0.client()
            }

            /// What it is called.
            #[must_use]
            pub fn name(&self) -> &str {
                self.0.name()
            }

            /// What relative paths are joined to.
            #[must_use]
            pub fn base_url(&self) -> &Url {
                self.0.base_url()
            }

            /// The URL that a path stands for.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidPath`](crate::ErrorKind::InvalidPath) if the path would leave the base URL.
            pub fn url(&self, path: impl AsRef<str>) -> Result<Url, Error> {
                self.0.url(path.as_ref())
            }

            /// Begins a GET request.
            pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::GET, path)
            }

            /// Begins a POST request.
            pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::POST, path)
            }

            /// Begins a PUT request.
            pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::PUT, path)
            }

            /// Begins a PATCH request.
            pub fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::PATCH, path)
            }

            /// Begins a DELETE request.
            pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::DELETE, path)
            }

            /// Begins a HEAD request.
            pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
                self.request(Method::HEAD, path)
            }

            /// Begins a request. A path that cannot be joined is an error of `send`, as a URL that cannot
            /// be read is with a plain client.
            pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
                self.0.request(method, path.as_ref())
            }
        }
    };
}

/// The settings of a builder around a [`NamedClientBuilder`](crate::NamedClientBuilder).
macro_rules! settings {
    ($builder:ty) => {
        impl $builder {
            /// Adds an origin that tokens may be sent to, besides the base URL's. Default: none.
            pub fn origin(self, origin: impl Into<String>) -> Self {
                Self(self.0.origin(origin))
            }

            /// The reqwest client to build, as with [`NamedClientBuilder::http`].
            pub fn http(self, builder: ClientBuilder) -> Self {
                Self(self.0.http(builder))
            }

            /// Presents a certificate at TLS, as with [`NamedClientBuilder::client_certificate`].
            #[cfg(feature = "mtls")]
            pub fn client_certificate(self, certificate: impl Into<ClientCertificate>) -> Self {
                Self(self.0.client_certificate(certificate))
            }

            /// A function that makes the reqwest client for each certificate, as with
            /// [`NamedClientBuilder::http_from_fn`].
            #[cfg(feature = "mtls")]
            pub fn http_from_fn(
                self,
                builder: impl Fn() -> ClientBuilder + Send + Sync + 'static,
            ) -> Self {
                Self(self.0.http_from_fn(builder))
            }

            /// A client that this crate has built, to share one pool of connections among named clients, as with
            /// [`NamedClientBuilder::client`].
            pub fn client(self, client: &HttpClient) -> Self {
                Self(self.0.client(client))
            }

            /// A client that leaves no origin, to share one pool of connections, as with
            /// [`NamedClientBuilder::same_origin_client`].
            pub fn same_origin_client(self, client: &SameOriginClient) -> Self {
                Self(self.0.same_origin_client(client))
            }

            /// The header that the token goes in, as with [`NamedClientBuilder::header`].
            pub fn header(self, name: impl Into<String>) -> Self {
                Self(self.0.header(name))
            }

            /// The word before the token, as with [`NamedClientBuilder::scheme`].
            pub fn scheme(self, scheme: impl Into<String>) -> Self {
                Self(self.0.scheme(scheme))
            }

            /// Sends the token alone, without a word before it, as with [`NamedClientBuilder::without_scheme`].
            pub fn without_scheme(self) -> Self {
                Self(self.0.without_scheme())
            }

            /// Sends the id token in place of the access token, as with [`NamedClientBuilder::id_token`].
            pub fn id_token(self) -> Self {
                Self(self.0.id_token())
            }

            /// A ready-made reqwest client, whose redirects are its owner's care, as with
            /// [`NamedClientBuilder::client_with_own_redirects`].
            pub fn client_with_own_redirects(self, client: Client) -> Self {
                Self(self.0.client_with_own_redirects(client))
            }

            /// Adds middleware that sees a request before its token is attached, as with
            /// [`NamedClientBuilder::before`].
            pub fn before(self, middleware: impl Middleware) -> Self {
                Self(self.0.before(middleware))
            }

            /// Adds middleware that sees each sending with its token, as with [`NamedClientBuilder::after`].
            pub fn after(self, middleware: impl Middleware) -> Self {
                Self(self.0.after(middleware))
            }

            /// Sends requests with absolute URLs of other origins without a token. Default: they fail.
            pub fn other_origins_without_token(self) -> Self {
                Self(self.0.other_origins_without_token())
            }

            /// Lets the token travel by plain http. Default: https, or http to this machine.
            pub fn allow_insecure_http(self) -> Self {
                Self(self.0.allow_insecure_http())
            }

            /// Turns a 401 that could not be healed because the user has to sign in again into the error that says
            /// so, as with [`NamedClientBuilder::error_on_ended_session`].
            pub fn error_on_ended_session(self) -> Self {
                Self(self.0.error_on_ended_session())
            }
        }
    };
}

pub(super) use {requests, settings};
