//! A token source as a library takes it that knows of bearer tokens alone.

use crate::access_token::AccessToken;
use crate::bearer_token::BearerToken;
use crate::bearer_token_provider::{BearerTokenFuture, BearerTokenProvider};
use crate::error::Error;
use crate::source::TokenSource;

/// The token that requests without options get. A token that is bound to a key (DPoP, RFC 9449) is an error:
/// a library that knows of bearer tokens alone sends no proof, and without one an API takes none.
impl BearerTokenProvider for TokenSource {
    fn bearer_token(&self) -> BearerTokenFuture<'_> {
        Box::pin(async move {
            let token = self.token().await?;
            if token.issued().binding.is_some() {
                return Err(self.handle().named(bound()));
            }
            Ok(self.for_library(token))
        })
    }
}

impl TokenSource {
    fn for_library(&self, token: AccessToken) -> BearerToken {
        let source = self.clone();
        BearerToken::of(token.authorization().clone(), token.expires_at())
            .on_invalidate(move || source.invalidate(&token))
    }
}

fn bound() -> Error {
    Error::settings(
        "its tokens are bound to a key (DPoP), and a library that takes a bearer token sends no proof; \
         give it a source without `dpop`",
    )
}
