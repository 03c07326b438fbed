//! The media type of an answer (RFC 9110 section 8.3.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// No media type that is registered comes near.
const LONGEST: usize = 80;

/// Type and subtype alone, in lower case, and only if they look like that: the rest could hold
/// anything, and what is returned may be printed (D6).
pub(crate) fn of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    let is_media_type = essence.len() <= LONGEST
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_media_type.then_some(essence)
}

fn is_token(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}
