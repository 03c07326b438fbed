//! What is remembered of a request while it is away.

use reqwest::{Request, Response, Url};

use crate::access_token::Issued;
use crate::clock::Moment;

/// What is remembered of a sending: its token by number and not by text.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) generation: u64,
    /// How often the token's subject had passed to somebody else.
    pub(crate) handovers: u32,
    /// When it was sent; `None` for a token of which one more success says nothing new, so that no
    /// warm call needs the time.
    pub(crate) sent: Option<Moment>,
}

/// What is kept of a request while it is away.
pub(crate) enum Kept {
    /// All of it: it can be sent again.
    Copy(Request),
    /// Its body can be read once only.
    Address(Url),
}

impl Stamp {
    /// That of a request that goes out with this token.
    pub(crate) fn of(token: &Issued, sent: Option<Moment>) -> Self {
        Self {
            generation: token.generation,
            handovers: token.handovers,
            sent,
        }
    }
}

impl Kept {
    pub(crate) fn of(request: &Request) -> Self {
        match request.try_clone() {
            Some(copy) => Self::Copy(copy),
            None => Self::Address(request.url().clone()),
        }
    }

    pub(crate) fn url(&self) -> &Url {
        match self {
            Self::Copy(request) => request.url(),
            Self::Address(url) => url,
        }
    }
}

/// Whether somebody between us and the socket has made the answer anew, as middleware does that
/// reads bodies: reqwest has this placeholder for the URL of an answer that was not told its own.
pub(crate) fn is_without_url(response: &Response) -> bool {
    response.url().host_str() == Some("no.url.provided.local")
}
