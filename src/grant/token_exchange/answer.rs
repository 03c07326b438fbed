//! What of an exchange's answer is used, and until when.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::error::{Error, HowFar};
use crate::id_token::expiry_claim;
use crate::subject_token::{SubjectToken, TypedToken};
use crate::token::{Lifetime, TokenResponse};

/// How long an exchanged token lives where neither the server nor the token that it was exchanged for tells.
const UNTOLD: Duration = Duration::from_secs(5 * 60);

const ISSUED_TOKEN_TYPE: &str = "issued_token_type";

/// When the first of the tokens ends that an exchange spends, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends(Option<SystemTime>);

impl Ends {
    /// The earliest of what is stated and of the claims `exp`. Those are read without a look at the
    /// signature, since they can only shorten.
    pub(super) fn of(
        subject: &TypedToken,
        actor: Option<&TypedToken>,
        stated: Option<SystemTime>,
    ) -> Self {
        let claims = [Some(subject), actor].into_iter().flatten();
        let claims = claims.filter_map(|token| expiry_claim(&token.text).and_then(time));
        Self(claims.chain(stated).min())
    }

    pub(super) fn have_come(self, now: SystemTime) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    /// The answer, as far as it may be used: no longer than what it was exchanged for, and without the
    /// refresh token, which would outlive that.
    pub(super) fn bound(self, mut response: TokenResponse, asked_at: SystemTime) -> TokenResponse {
        response.refresh_token = None;
        response.refresh_token_lifetime = None;
        // It has been looked at, and the map that it is in takes more room than all else of a caller (G3).
        response.members.remove(ISSUED_TOKEN_TYPE);
        if response.members.is_empty() {
            response.members = Map::new();
        }
        let left = self.0.map(|end| end.duration_since(asked_at));
        match (left, response.lifetime) {
            (Some(left), stated) => {
                let left = match left {
                    Ok(left) if !left.is_zero() => Lifetime::Stated(left),
                    _ => Lifetime::Spent,
                };
                response.lifetime = stated.shorter_of(left);
                // Another exchange for the same token would bring nothing that lasts longer.
                response.ends_for_good = response.lifetime == left;
            }
            (None, Lifetime::Unstated) => response.lifetime = Lifetime::Stated(UNTOLD),
            (None, _) => {}
        }
        response
    }
}

/// A point in time in seconds since 1970; `None` for what is none.
fn time(seconds: f64) -> Option<SystemTime> {
    let since_epoch = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// Whether the answer brings the kind of token that was asked for (RFC 8693 section 2.2.1), or else one that
/// can be used at an API.
///
/// # Errors
/// If it does not say, or brings another kind.
pub(super) fn check_issued_type(
    response: &TokenResponse,
    asked: Option<&str>,
) -> Result<(), Error> {
    const ACCESS: [&str; 2] = [SubjectToken::ACCESS_TOKEN, SubjectToken::JWT];
    let issued = response.member(ISSUED_TOKEN_TYPE);
    let Some(issued) = issued.and_then(Value::as_str) else {
        return Err(unusable(
            "the answer of the token exchange has no `issued_token_type`, which RFC 8693 requires; where the \
             server is known to leave it out, say `without_issued_token_type`",
        ));
    };
    // An access token may be a JWT, and some servers say so.
    let is_asked = match asked {
        Some(asked) if ACCESS.contains(&asked) => ACCESS.contains(&issued),
        Some(asked) => asked == issued,
        None => ACCESS.contains(&issued),
    };
    if is_asked {
        return Ok(());
    }
    Err(unusable(match asked {
        Some(_) => "the token exchange brought another kind of token than was asked for",
        None => {
            "the token exchange brought a token that is no access token; ask for the kind that the API takes \
             with `requested_token_type`"
        }
    }))
}

fn unusable(message: &str) -> Error {
    Error::protocol(message).got(HowFar::Unusable)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{Ends, check_issued_type, time};
    use crate::subject_token::SubjectToken;
    use crate::token::{Lifetime, TokenResponse};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_exchanged_token_ends_with_the_first_of_all_that_tell_an_end() {
        // I1: now it is second 1,000.
        use Lifetime::{Spent, Stated, Unstated};
        let seconds = |seconds| Stated(Duration::from_secs(seconds));
        for (end, stated, lifetime, is_for_good) in [
            (None, Unstated, seconds(300), false),
            (None, seconds(3_600), seconds(3_600), false),
            (None, Spent, Spent, false),
            (Some(1_100), Unstated, seconds(100), true),
            (Some(1_100), seconds(99), seconds(99), false),
            (Some(1_100), seconds(100), seconds(100), true),
            (Some(1_100), seconds(101), seconds(100), true),
            (Some(1_000), seconds(100), Spent, true),
            (Some(999), seconds(100), Spent, true),
        ] {
            let mut response = TokenResponse::bearer("a").with_refresh_token("r");
            response.lifetime = stated;
            let ends = Ends(end.map(at));
            let bound = ends.bound(response, at(1_000));
            assert_eq!(bound.lifetime, lifetime, "{end:?} {stated:?}");
            assert_eq!(bound.ends_for_good, is_for_good, "{end:?} {stated:?}");
            assert!(bound.refresh_token.is_none());
        }
        for (end, has_come) in [(999, true), (1_000, true), (1_001, false)] {
            assert_eq!(Ends(Some(at(end))).have_come(at(1_000)), has_come, "{end}");
        }
        assert!(!Ends(None).have_come(at(1_000)));
    }

    #[test]
    fn no_end_that_a_token_claims_overflows() {
        // I1
        assert_eq!(time(1.5), Some(at(1) + Duration::from_millis(500)));
        assert_eq!(time(-1.0), Some(at(0)));
        for odd in [f64::INFINITY, f64::MAX, 1e30] {
            assert_eq!(time(odd), None, "{odd}");
        }
        assert!(time(f64::NAN).is_none_or(|time| time == at(0)));
    }

    #[test]
    fn what_is_issued_is_what_was_asked_for() {
        // I1
        let issued = |kind: &str| TokenResponse::bearer("a").with_member("issued_token_type", kind);
        let (access, jwt) = (SubjectToken::ACCESS_TOKEN, SubjectToken::JWT);
        let id = SubjectToken::ID_TOKEN;
        for (kind, asked, is_good) in [
            (access, None, true),
            (jwt, None, true),
            (id, None, false),
            (
                "urn:ietf:params:oauth:token-type:refresh_token",
                None,
                false,
            ),
            (access, Some(access), true),
            (jwt, Some(access), true),
            (access, Some(jwt), true),
            (id, Some(id), true),
            (access, Some(id), false),
            (id, Some(access), false),
        ] {
            let checked = check_issued_type(&issued(kind), asked);
            assert_eq!(checked.is_ok(), is_good, "{kind} {asked:?}");
        }
        assert!(check_issued_type(&TokenResponse::bearer("a"), None).is_err());
        let number = TokenResponse::bearer("a").with_member("issued_token_type", 1);
        assert!(check_issued_type(&number, None).is_err());
    }
}
