//! The codes of their own that servers have for a dead refresh token, in answers to a refresh (K9).

/// Whether a code of an answer to a refresh means what `invalid_grant` means: `bad_refresh_token`
/// (GitHub), `invalid_refresh_token` and `token_revoked` (Slack), `invalid_code` (Zoho),
/// `RefreshTokenReuseException` (Cognito) and their like.
///
/// It has to say "refresh token" and one word more, in any order and spelling. A `missing` or
/// `unsupported` one is our mistake, and no death.
pub(super) fn is_dead(code: &str) -> bool {
    const DEAD: [&str; 24] = [
        "bad",
        "invalid",
        "isinvalid",
        "notvalid",
        "isnotvalid",
        "invalidated",
        "hasbeeninvalidated",
        "expired",
        "isexpired",
        "hasexpired",
        "revoked",
        "isrevoked",
        "hasbeenrevoked",
        "notfound",
        "unknown",
        "reuse",
        "reused",
        "reusedetected",
        "used",
        "alreadyused",
        "inactive",
        "notactive",
        "isnotactive",
        "deleted",
    ];
    // The refresh token is the only token, and the only code, that was handed in.
    const OTHERS: [&str; 5] = [
        "invalidcode",
        "tokenrevoked",
        "revokedtoken",
        "tokenexpired",
        "expiredtoken",
    ];
    let first = code.split(':').next().unwrap_or_default();
    let letters = letters(first);
    let letters = ["exception", "error"]
        .iter()
        .find_map(|end| letters.strip_suffix(end))
        .unwrap_or(&letters);
    match letters.split_once("refreshtoken") {
        Some((before, after)) => DEAD.contains(&format!("{before}{after}").as_str()),
        None => OTHERS.contains(&letters),
    }
}

/// Codes that some servers have for a dead refresh token, and that may mean something else.
pub(super) fn is_doubtful(code: &str) -> bool {
    const DOUBTFUL: [&str; 5] = [
        "sessionexpired",
        "sessionnotfound",
        "tokeninvalid",
        "tokennotfound",
        "tokeninactive",
    ];
    DOUBTFUL.contains(&letters(code).as_str())
}

/// Letters and digits alone, in lower case: `Refresh-Token expired` and `refresh_token_expired` say
/// the same. Of a text that is too long to be a code nothing.
fn letters(code: &str) -> String {
    const LONGEST: usize = 80;
    let text = if code.len() <= LONGEST { code } else { "" };
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_dead, is_doubtful};

    #[test]
    fn a_code_says_that_a_refresh_token_is_dead_in_any_spelling() {
        // K9
        for code in [
            "bad_refresh_token",
            "BAD_REFRESH_TOKEN",
            "invalid_refresh_token",
            "invalidRefreshToken",
            "Invalid refresh token",
            "refresh_token_invalidated",
            "refresh_token_expired",
            "refresh token has expired",
            "expired_refresh_token",
            "expired-refresh-token",
            "refresh_token_revoked",
            "revoked_refresh_token",
            "refresh_token_not_found",
            "refresh_token_reused",
            "refresh_token_already_used",
            "RefreshTokenReuseException",
            "refresh_token_invalid_error",
            "invalid_refresh_token: it is over",
            "invalid_code",
            "token_revoked",
            "token_expired",
        ] {
            assert!(is_dead(code) && !is_doubtful(code), "{code}");
        }
    }

    #[test]
    fn a_code_that_may_be_about_something_else_ends_nothing() {
        // K9
        for code in [
            "",
            "refresh_token",
            "missing_refresh_token",
            "refresh_token_required",
            "refresh_token_not_supported",
            "refresh_token_not_allowed",
            "unsupported_refresh_token",
            "refresh_token_invalid_client",
            "refresh_token_issuance_failed",
            "invalid_access_token",
            "invalid_token",
            "invalid_client",
            "unauthorized_client",
            "access_denied",
            "invalid",
            "expired",
        ] {
            assert!(!is_dead(code), "{code}");
        }
        assert!(!is_dead(&format!(
            "invalid_refresh_token{}",
            "_".repeat(80)
        )));
    }
}
