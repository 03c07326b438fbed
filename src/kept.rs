//! What a store keeps of one grant key: its refresh token and its access tokens, in points in time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::store::Version;
use crate::wiping::WipingBuffer;

/// Stands in each record, so that another version of this crate knows whether it can read it.
const FORMAT: u32 = 1;
/// Access tokens for different scopes and resources that one record holds: more would make each
/// save of a rotated refresh token slow. Those that end first go first.
const MOST_TOKENS: usize = 32;

/// One record. Times count from 1970, by the wall clock: machines share no other.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) origin: Origin,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) tokens: Vec<KeptToken>,
    /// When the server ends the refresh token, where it tells (`refresh_token_expires_in`).
    pub(crate) ends_at: Option<Duration>,
    pub(crate) saved_at: Duration,
    /// The refresh token was sent at this time, and nobody has written what came of it (E3).
    pub(crate) away_since: Option<Duration>,
    /// Whoever sent it knows that no answer comes any more, and has nothing to write.
    pub(crate) answer_lost: bool,
    /// The server has said that the refresh token is dead (F5).
    pub(crate) dead: bool,
}

/// What the tokens of a record go back to. Those of another sign-in are another session's, even if
/// the subject is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A grant that needs no sign-in; it can be asked for more at any time.
    #[default]
    Grant,
    /// The sign-in that wrote this version.
    SignIn(Version),
}

/// One access token of a record.
#[derive(Clone)]
pub(crate) struct KeptToken {
    /// What it was asked for with, the grant's own settings included: sources that share a store
    /// have different ones.
    pub(crate) parameters: TokenParameters,
    pub(crate) access_token: Secret,
    pub(crate) issued_at: Duration,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) refresh_at: Option<Duration>,
    pub(crate) scope: Option<String>,
    pub(crate) members: Map<String, Value>,
    /// The newest one of the record, on the way out of it; the record has it once.
    pub(crate) id_token: Option<Secret>,
}

impl Kept {
    /// The access token that was asked for with these parameters.
    pub(crate) fn token(&self, parameters: &TokenParameters) -> Option<KeptToken> {
        let mut tokens = self.tokens.iter();
        let token = tokens.find(|token| token.parameters == *parameters)?;
        Some(KeptToken {
            id_token: self.id_token.clone(),
            ..token.clone()
        })
    }

    /// Puts `token` in place of the one with the same parameters, and drops those that have ended.
    pub(crate) fn put(&mut self, token: KeptToken, now: Duration) {
        self.tokens
            .retain(|known| known.parameters != token.parameters && known.is_alive(now));
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens
                .sort_by_key(|known| known.expires_at.unwrap_or(Duration::MAX));
            self.tokens.remove(0);
        }
        self.tokens.push(token);
    }

    /// Until when an access token is alive, as far as anybody knows.
    pub(crate) fn last_expiry(&self) -> Option<Duration> {
        let ends = self.tokens.iter().map(|token| token.expires_at);
        ends.map(|end| end.unwrap_or(Duration::MAX)).max()
    }

    /// The record as a store keeps it.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = WipingBuffer::default();
        // Nothing in there fails to serialise: the keys of all maps are texts.
        match serde_json::to_writer(&mut bytes, &self.as_wire()) {
            Ok(()) => bytes.into_inner(),
            Err(_) => Zeroizing::default(),
        }
    }

    /// The record that a store had kept.
    ///
    /// # Errors
    /// What is wrong with it, without anything of it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let header: Header =
            serde_json::from_slice(bytes).map_err(|_| "it is not a record of this crate")?;
        if header.format != FORMAT {
            return Err("it was written in another format, by another version of this crate");
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|_| "it is damaged")?;
        Ok(wire.into_kept())
    }

    fn as_wire(&self) -> Wire {
        let text = |secret: &Option<Secret>| secret.as_ref().map(WireSecret::of);
        Wire {
            format: FORMAT,
            sign_in: match self.origin {
                Origin::Grant => None,
                Origin::SignIn(version) => Some(version.to_string()),
            },
            refresh_token: text(&self.refresh_token),
            id_token: text(&self.id_token),
            tokens: self.tokens.iter().map(WireToken::of).collect(),
            ends_at: self.ends_at.map(millis),
            saved_at: millis(self.saved_at),
            away_since: self.away_since.map(millis),
            answer_lost: self.answer_lost,
            dead: self.dead,
        }
    }
}

impl KeptToken {
    pub(crate) fn is_alive(&self, now: Duration) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Kept")
            .field("refresh_token", &self.refresh_token)
            .field("tokens", &self.tokens.len())
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KeptToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeptToken")
            .field("parameters", &self.parameters)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The JSON of a record. Times are milliseconds.
#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    sign_in: Option<String>,
    refresh_token: Option<WireSecret>,
    id_token: Option<WireSecret>,
    tokens: Vec<WireToken>,
    ends_at: Option<u64>,
    saved_at: u64,
    away_since: Option<u64>,
    answer_lost: bool,
    dead: bool,
}

#[derive(Serialize, Deserialize)]
struct WireToken {
    parameters: WireParameters,
    access_token: WireSecret,
    issued_at: u64,
    expires_at: Option<u64>,
    refresh_at: Option<u64>,
    scope: Option<String>,
    members: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct WireParameters {
    scope: Vec<String>,
    resource: Vec<String>,
    audience: Vec<String>,
    extra: BTreeMap<String, String>,
}

/// Wiped when it goes, as a [`Secret`] is.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct WireSecret(Zeroizing<String>);

impl WireSecret {
    fn of(secret: &Secret) -> Self {
        Self(Zeroizing::new(secret.expose().to_owned()))
    }

    fn into_secret(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }
}

impl Wire {
    fn into_kept(self) -> Kept {
        let sign_in = self.sign_in.and_then(|version| version.parse().ok());
        Kept {
            origin: sign_in.map_or(Origin::Grant, Origin::SignIn),
            refresh_token: self.refresh_token.map(WireSecret::into_secret),
            id_token: self.id_token.map(WireSecret::into_secret),
            tokens: self.tokens.into_iter().map(WireToken::into_kept).collect(),
            ends_at: self.ends_at.map(Duration::from_millis),
            saved_at: Duration::from_millis(self.saved_at),
            away_since: self.away_since.map(Duration::from_millis),
            answer_lost: self.answer_lost,
            dead: self.dead,
        }
    }
}

impl WireToken {
    fn of(token: &KeptToken) -> Self {
        let (scope, resource, audience, extra) = token.parameters.clone().into_parts();
        Self {
            parameters: WireParameters {
                scope,
                resource,
                audience,
                extra,
            },
            access_token: WireSecret::of(&token.access_token),
            issued_at: millis(token.issued_at),
            expires_at: token.expires_at.map(millis),
            refresh_at: token.refresh_at.map(millis),
            scope: token.scope.clone(),
            members: token.members.clone(),
        }
    }

    fn into_kept(self) -> KeptToken {
        let WireParameters {
            scope,
            resource,
            audience,
            extra,
        } = self.parameters;
        KeptToken {
            parameters: TokenParameters::from_parts(scope, resource, audience, extra),
            access_token: self.access_token.into_secret(),
            issued_at: Duration::from_millis(self.issued_at),
            expires_at: self.expires_at.map(Duration::from_millis),
            refresh_at: self.refresh_at.map(Duration::from_millis),
            scope: self.scope,
            members: self.members,
            id_token: None,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Kept, KeptToken, MOST_TOKENS, Origin};
    use crate::parameters::TokenParameters;
    use crate::secret::Secret;
    use crate::store::Version;
    use serde_json::{Map, json};
    use std::time::Duration;

    fn token(scope: &str, expires_at: Option<u64>) -> KeptToken {
        KeptToken {
            parameters: TokenParameters::new().scope(scope).extra("b", "a"),
            access_token: Secret::new(format!("token-{scope}")),
            issued_at: Duration::from_millis(1_500),
            expires_at: expires_at.map(Duration::from_secs),
            refresh_at: Some(Duration::from_secs(3)),
            scope: Some("granted".to_owned()),
            members: Map::from_iter([("member".to_owned(), json!({"a": [1]}))]),
            id_token: None,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        // F2
        let kept = Kept {
            origin: Origin::SignIn(Version::random().unwrap()),
            refresh_token: Some(Secret::new("r")),
            id_token: Some(Secret::new("i")),
            tokens: vec![token("b a", Some(4)), token("", None)],
            ends_at: Some(Duration::from_secs(9)),
            saved_at: Duration::from_secs(1),
            away_since: Some(Duration::from_millis(7)),
            answer_lost: true,
            dead: true,
        };
        let bytes = kept.to_bytes();
        let read = Kept::from_bytes(&bytes).unwrap();
        assert_eq!(*read.to_bytes(), *bytes);
        assert_eq!(read.refresh_token, kept.refresh_token);
        assert_eq!(read.origin, kept.origin);
        let found = read.token(&TokenParameters::new().scope("b a").extra("b", "a"));
        assert_eq!(found.unwrap().access_token.expose(), "token-b a");
        let other = TokenParameters::new().scope("a b").extra("b", "a");
        assert!(read.token(&other).is_none());
        assert!(read.token(&TokenParameters::new().scope("b a")).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_record_that_was_written_leaves_no_refresh_token_behind() {
        // D6
        use crate::wiping::search::{copies_of, unheard_of};
        let secret = Secret::new(unheard_of());
        for size in [1, 10, 1000] {
            let kept = Kept {
                refresh_token: Some(secret.clone()),
                tokens: vec![token(&"x".repeat(size), None)],
                ..Kept::default()
            };
            let bytes = kept.to_bytes();
            assert_eq!(copies_of(secret.expose()), 3, "{size}: both, and the bytes");
            let read = Kept::from_bytes(&bytes).unwrap();
            assert_eq!(read.refresh_token.as_ref(), Some(&secret));
            drop((kept, bytes, read));
            assert_eq!(copies_of(secret.expose()), 1, "{size}");
        }
    }

    #[test]
    fn members_that_an_earlier_version_wrote_besides_are_passed_over() {
        // F7
        let text = String::from_utf8(Kept::default().to_bytes().to_vec()).unwrap();
        let earlier = text.replace("\"dead\"", "\"unspecific_refusals\":2,\"dead\"");
        assert_ne!(earlier, text);
        assert!(Kept::from_bytes(earlier.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_record_or_one_of_another_format_is_told_and_never_shown() {
        // F7
        let good = Kept::default().to_bytes();
        let text = String::from_utf8(good.to_vec()).unwrap();
        let newer = text.replace("\"format\":1", "\"format\":2");
        let damaged = text.replace("\"tokens\":[]", "\"tokens\":\"canary\"");
        for bad in [
            "",
            "canary",
            "{}",
            "[1]",
            &text[..text.len() / 2],
            &newer,
            &damaged,
        ] {
            let problem = Kept::from_bytes(bad.as_bytes()).unwrap_err();
            assert!(!problem.contains("canary"), "{problem}");
        }
        assert!(
            Kept::from_bytes(newer.as_bytes())
                .unwrap_err()
                .contains("another format")
        );
    }

    #[test]
    fn a_record_holds_one_token_for_each_parameters_and_never_too_many() {
        let mut kept = Kept::default();
        let now = Duration::from_secs(10);
        kept.put(token("dead", Some(9)), Duration::ZERO);
        for number in 0..100_u64 {
            kept.put(token(&format!("s{number}"), Some(1_000 - number)), now);
            kept.put(token(&format!("s{number}"), Some(1_000 - number)), now);
        }
        assert_eq!(kept.tokens.len(), MOST_TOKENS);
        assert!(kept.token(&token("dead", None).parameters).is_none());
        assert!(kept.token(&token("s99", None).parameters).is_some());
        assert_eq!(kept.last_expiry(), Some(Duration::from_secs(1_000)));
    }
}
