//! Who is measured.

use http::{Extensions, HeaderValue};
use reqwest_bearer::{BearerTokenMiddleware, TokenOptions};
use reqwest_middleware::ClientBuilder;
use tokio::sync::RwLock;

use crate::call::{client, grant};
use crate::middlewares::{ConstantHeader, ConstantHeaderAndCopy, DoNothing, HandWritten};
use crate::token_text;

/// One way to give a request its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    DoNothing,
    ConstantHeader,
    ConstantHeaderAndCopy,
    HandWritten,
    Ours,
    OursWithScope,
}

impl Contender {
    pub const ALL: [Self; 6] = [
        Self::DoNothing,
        Self::ConstantHeader,
        Self::ConstantHeaderAndCopy,
        Self::HandWritten,
        Self::Ours,
        Self::OursWithScope,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::DoNothing => "do nothing",
            Self::ConstantHeader => "constant header",
            Self::ConstantHeaderAndCopy => "constant header + copy",
            Self::HandWritten => "RwLock<String> + format! + copy",
            Self::Ours => "ours",
            Self::OursWithScope => "ours, a scope per request",
        }
    }

    /// A chain for this origin that ends in a real client.
    pub(crate) fn chain(self, origin: &str) -> ClientBuilder {
        let chain = ClientBuilder::new(client());
        match self {
            Self::DoNothing => chain.with(DoNothing),
            Self::ConstantHeader => chain.with(ConstantHeader(constant())),
            Self::ConstantHeaderAndCopy => chain.with(ConstantHeaderAndCopy(constant())),
            Self::HandWritten => chain.with(HandWritten(RwLock::new(token_text()))),
            Self::Ours | Self::OursWithScope => chain
                .with(BearerTokenMiddleware::for_origin(origin, grant()).expect("it is an origin")),
        }
    }

    pub(crate) fn extensions(self) -> Extensions {
        let mut extensions = Extensions::new();
        if self == Self::OursWithScope {
            extensions.insert(TokenOptions::new().scope("orders:read"));
        }
        extensions
    }
}

fn constant() -> HeaderValue {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token_text()))
        .expect("the text is made of letters, digits and dots");
    header.set_sensitive(true);
    header
}
