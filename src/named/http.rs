//! The HTTP client below a named client: ours, or the program's as far as it keeps the token at home.

use reqwest::{Client, ClientBuilder};

#[cfg(feature = "mtls")]
use std::sync::Arc;

use crate::error::Error;
use crate::redirect::{
    HttpClient, SameOriginClient, http_client, http_client_without_redirects,
    same_origin_http_client,
};

/// Which one the settings ask for.
pub(super) enum Http {
    Default,
    ToBuild(Box<ClientBuilder>),
    #[cfg(feature = "mtls")]
    Function(BuilderFn),
    Shared(HttpClient),
    AtHome(SameOriginClient),
    Built(Client),
}

/// The program's function that makes a builder for each certificate.
#[cfg(feature = "mtls")]
pub(super) type BuilderFn = Arc<dyn Fn() -> ClientBuilder + Send + Sync>;

/// Which redirects it may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirects {
    /// To other origins too, since reqwest takes the token out there.
    Anywhere,
    AtHome,
    /// None: a proof is for one URL.
    Nowhere,
}

impl Http {
    /// The client, for an API that is on this machine and asked by plain http, or not.
    ///
    /// # Errors
    /// If reqwest cannot build it, or the one that was given follows too much.
    pub(super) fn client(self, redirects: Redirects, stays_here: bool) -> Result<Client, Error> {
        match (self, redirects) {
            (Self::Default, _) if stays_here => redirects.build(Client::builder().no_proxy()),
            (Self::Default, _) => redirects.build(Client::builder()),
            (Self::ToBuild(builder), _) => redirects.build(*builder),
            #[cfg(feature = "mtls")]
            (Self::Function(builder), _) => redirects.build(builder()),
            (Self::AtHome(client), Redirects::Nowhere) if !client.follows_none() => {
                Err(follows_redirects())
            }
            (Self::AtHome(client), _) => Ok(client.into()),
            (Self::Shared(client), Redirects::Anywhere) => Ok(client.into()),
            (Self::Shared(_), Redirects::Nowhere) => Err(follows_redirects()),
            (Self::Shared(_), Redirects::AtHome) => Err(Error::settings(
                "the client follows redirects to other origins, where reqwest takes `authorization` out \
                 and no other header; share one from `same_origin_http_client` by `same_origin_client`",
            )),
            // Its owner's care by name.
            (Self::Built(client), _) => Ok(client),
        }
    }
}

impl Redirects {
    pub(super) fn build(self, builder: ClientBuilder) -> Result<Client, Error> {
        match self {
            Self::Anywhere => http_client(builder).map(Client::from),
            Self::AtHome => same_origin_http_client(builder).map(Client::from),
            Self::Nowhere => http_client_without_redirects(builder).map(Client::from),
        }
    }
}

fn follows_redirects() -> Error {
    Error::settings(
        "the tokens are bound to a DPoP key, and the client follows redirects, to which the proof of a \
         request would go along; share one from `http_client_without_redirects` by \
         `same_origin_client`",
    )
}
