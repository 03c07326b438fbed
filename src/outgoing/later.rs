//! What is to be done when an answer ends that says only there what the API made of the token.

use std::sync::Arc;

use reqwest::Url;

use crate::cache::entry::Entry;
use crate::cache::rejection::Sending;
use crate::outgoing::stamp::Stamp;
use crate::source::handle::Handle;
use crate::token::TokenType;

/// A sending whose answer has begun, and is not yet judged.
pub(crate) struct Later {
    pub(crate) tokens: Handle,
    pub(crate) entry: Arc<Entry>,
    pub(crate) stamp: Stamp,
    pub(crate) token_type: TokenType,
    /// Where the request was sent.
    pub(crate) url: Url,
    pub(crate) sending: Sending,
}
