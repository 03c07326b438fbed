//! Texts that nobody guesses: session ids, codes, tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits of the operating system, in 43 characters that fit cookies, URLs and headers.
pub(crate) fn unguessable() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
