//! What no two requests have in common.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, ErrorKind, HowFar};

/// 128 random bits in base64url: 22 characters.
///
/// # Errors
/// If the operating system gives none. Nothing has been sent then.
pub(crate) fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let message = "the operating system gives no random numbers";
        Error::new(ErrorKind::Unavailable, message)
            .got(HowFar::NotSent)
            .with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
