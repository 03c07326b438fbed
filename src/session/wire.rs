//! A record as a store keeps it: JSON, in the format of this version, and read in those of the ones before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::dpop::SessionKey;
use crate::error::Error;
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::session::record::{Origin, Record, RecordToken};
use crate::session::state::RefreshTokenState;
use crate::store::Version;
use crate::wiping::WipingBuffer;

/// Stands in each record, so that another version of this crate knows whether it can read it.
const FORMAT: u32 = 2;
/// That of sessions that are bound to a key. A version that does not know the key is not to know the record:
/// it would spend the refresh token without a proof, and send the access token without one.
const FORMAT_WITH_KEY: u32 = 3;
/// What this version still reads: it had flags in place of the state.
const FORMAT_WITH_FLAGS: u32 = 1;

/// The record as a store keeps it.
pub(crate) fn to_bytes(record: &Record) -> Zeroizing<Vec<u8>> {
    let mut bytes = WipingBuffer::default();
    // Nothing in there fails to serialise: the keys of all maps are texts.
    match serde_json::to_writer(&mut bytes, &Wire::of(record)) {
        Ok(()) => bytes.into_inner(),
        Err(_) => Zeroizing::default(),
    }
}

/// The record that a store had kept under this version.
///
/// # Errors
/// What is wrong with it, without anything of it.
pub(crate) fn from_bytes(bytes: &[u8], version: Version) -> Result<Record, &'static str> {
    #[derive(Deserialize)]
    struct Header {
        format: u32,
    }
    let header: Header =
        serde_json::from_slice(bytes).map_err(|_| "it is not a record of this crate")?;
    let damaged = |_| "it is damaged";
    let state = match header.format {
        FORMAT => None,
        FORMAT_WITH_KEY if cfg!(feature = "dpop") => None,
        FORMAT_WITH_KEY => {
            return Err(
                "its session is bound to a DPoP key, and this program is built without the feature `dpop`",
            );
        }
        FORMAT_WITH_FLAGS => {
            let flags: Flags = serde_json::from_slice(bytes).map_err(damaged)?;
            Some(flags.as_state(version))
        }
        _ => return Err("it was written in another format, by another version of this crate"),
    };
    let wire: Wire = serde_json::from_slice(bytes).map_err(damaged)?;
    let state = match (state, &wire.refresh_token_state) {
        (Some(state), _) => state,
        (None, Some(wire)) => wire.as_state().ok_or("it is damaged")?,
        (None, None) => return Err("it is damaged"),
    };
    if (header.format == FORMAT_WITH_KEY) != wire.dpop_key.is_some() {
        return Err("it is damaged");
    }
    wire.into_record(state).map_err(|_| "it is damaged")
}

/// The JSON of a record. Times are milliseconds.
#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    sign_in: Option<String>,
    refresh_token: Option<WireSecret>,
    refresh_token_state: Option<WireState>,
    id_token: Option<WireSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpop_key: Option<WireKey>,
    tokens: Vec<WireToken>,
    ends_at: Option<u64>,
    saved_at: u64,
}

/// The key that a session is bound to.
#[derive(Serialize, Deserialize)]
struct WireKey {
    pem: WireSecret,
    algorithm: String,
}

/// The state of the refresh token.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireState {
    Ready,
    Sent {
        since: u64,
        by: String,
        after_loss: bool,
    },
    AnswerLost {
        since: u64,
    },
    Dead,
}

/// The state as the format before had it.
#[derive(Deserialize)]
struct Flags {
    away_since: Option<u64>,
    answer_lost: bool,
    dead: bool,
}

#[derive(Serialize, Deserialize)]
struct WireToken {
    parameters: WireParameters,
    access_token: WireSecret,
    /// Left out of those that versions without DPoP would have written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_bound: bool,
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
    fn of(record: &Record) -> Self {
        let text = |secret: &Option<Secret>| secret.as_ref().map(WireSecret::of);
        Self {
            format: match record.dpop_key {
                Some(_) => FORMAT_WITH_KEY,
                None => FORMAT,
            },
            sign_in: match record.origin {
                Origin::Grant => None,
                Origin::SignIn(version) => Some(version.to_string()),
            },
            refresh_token: text(&record.refresh_token),
            refresh_token_state: Some(WireState::of(record.state)),
            id_token: text(&record.id_token),
            dpop_key: record.dpop_key.as_ref().map(|key| WireKey {
                pem: WireSecret::of(key.pem()),
                algorithm: key.algorithm().to_owned(),
            }),
            tokens: record.tokens.iter().map(WireToken::of).collect(),
            ends_at: record.ends_at.map(millis),
            saved_at: millis(record.saved_at),
        }
    }

    fn into_record(self, state: RefreshTokenState) -> Result<Record, Error> {
        let dpop_key = self
            .dpop_key
            .map(|key| SessionKey::read(key.pem.into_secret(), key.algorithm));
        let sign_in = self.sign_in.and_then(|version| version.parse().ok());
        Ok(Record {
            origin: sign_in.map_or(Origin::Grant, Origin::SignIn),
            refresh_token: self.refresh_token.map(WireSecret::into_secret),
            id_token: self.id_token.map(WireSecret::into_secret),
            dpop_key: dpop_key.transpose()?,
            tokens: self.tokens.into_iter().map(WireToken::into_token).collect(),
            ends_at: self.ends_at.map(Duration::from_millis),
            saved_at: Duration::from_millis(self.saved_at),
            state,
        })
    }
}

impl WireState {
    fn of(state: RefreshTokenState) -> Self {
        match state {
            RefreshTokenState::Ready => Self::Ready,
            RefreshTokenState::Sent {
                since,
                by,
                after_loss,
            } => Self::Sent {
                since: millis(since),
                by: by.to_string(),
                after_loss,
            },
            RefreshTokenState::AnswerLost { since } => Self::AnswerLost {
                since: millis(since),
            },
            RefreshTokenState::Dead => Self::Dead,
        }
    }

    /// `None` if its mark is none.
    fn as_state(&self) -> Option<RefreshTokenState> {
        Some(match self {
            Self::Ready => RefreshTokenState::Ready,
            Self::Sent {
                since,
                by,
                after_loss,
            } => RefreshTokenState::Sent {
                since: Duration::from_millis(*since),
                by: by.parse().ok()?,
                after_loss: *after_loss,
            },
            Self::AnswerLost { since } => RefreshTokenState::AnswerLost {
                since: Duration::from_millis(*since),
            },
            Self::Dead => RefreshTokenState::Dead,
        })
    }
}

impl Flags {
    /// A mark was known by the version that it was written under.
    fn as_state(&self, version: Version) -> RefreshTokenState {
        let since = self.away_since.map(Duration::from_millis);
        match since {
            _ if self.dead => RefreshTokenState::Dead,
            None => RefreshTokenState::Ready,
            Some(since) if self.answer_lost => RefreshTokenState::AnswerLost { since },
            Some(since) => RefreshTokenState::Sent {
                since,
                by: version,
                after_loss: false,
            },
        }
    }
}

impl WireToken {
    fn of(token: &RecordToken) -> Self {
        let (scope, resource, audience, extra) = token.parameters.clone().into_parts();
        Self {
            parameters: WireParameters {
                scope,
                resource,
                audience,
                extra,
            },
            access_token: WireSecret::of(&token.access_token),
            is_bound: token.is_bound,
            issued_at: millis(token.issued_at),
            expires_at: token.expires_at.map(millis),
            refresh_at: token.refresh_at.map(millis),
            scope: token.scope.clone(),
            members: token.members.clone(),
        }
    }

    fn into_token(self) -> RecordToken {
        let WireParameters {
            scope,
            resource,
            audience,
            extra,
        } = self.parameters;
        RecordToken {
            parameters: TokenParameters::from_parts(scope, resource, audience, extra),
            access_token: self.access_token.into_secret(),
            is_bound: self.is_bound,
            issued_at: Duration::from_millis(self.issued_at),
            expires_at: self.expires_at.map(Duration::from_millis),
            refresh_at: self.refresh_at.map(Duration::from_millis),
            scope: self.scope,
            members: self.members,
            id_token: None,
            dpop_key: None,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{from_bytes, to_bytes};
    use crate::dpop::{DpopKey, SessionKey};
    use crate::parameters::TokenParameters;
    use crate::secret::Secret;
    use crate::session::record::{Origin, Record, RecordToken};
    use crate::session::state::RefreshTokenState;
    use crate::store::Version;
    use serde_json::{Map, json};
    use std::time::Duration;

    fn token(scope: &str, expires_at: Option<u64>) -> RecordToken {
        RecordToken {
            parameters: TokenParameters::new().scope(scope).extra("b", "a"),
            access_token: Secret::new(format!("token-{scope}")),
            is_bound: expires_at.is_none(),
            issued_at: Duration::from_millis(1_500),
            expires_at: expires_at.map(Duration::from_secs),
            refresh_at: Some(Duration::from_secs(3)),
            scope: Some("granted".to_owned()),
            members: Map::from_iter([("member".to_owned(), json!({"a": [1]}))]),
            id_token: None,
            dpop_key: None,
        }
    }

    fn version() -> Version {
        Version::of_bytes(b"v")
    }

    fn text(record: &Record) -> String {
        String::from_utf8(to_bytes(record).to_vec()).unwrap()
    }

    const SINCE: Duration = Duration::from_millis(7);

    fn sent(by: Version, after_loss: bool) -> RefreshTokenState {
        RefreshTokenState::Sent {
            since: SINCE,
            by,
            after_loss,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        // F2
        let mark = Version::random().unwrap();
        for state in [
            RefreshTokenState::Ready,
            sent(mark, true),
            sent(mark, false),
            RefreshTokenState::AnswerLost { since: SINCE },
            RefreshTokenState::Dead,
        ] {
            let record = Record {
                origin: Origin::SignIn(Version::random().unwrap()),
                refresh_token: Some(Secret::new("r")),
                id_token: Some(Secret::new("i")),
                dpop_key: None,
                tokens: vec![token("b a", Some(4)), token("", None)],
                ends_at: Some(Duration::from_secs(9)),
                saved_at: Duration::from_secs(1),
                state,
            };
            let bytes = to_bytes(&record);
            let read = from_bytes(&bytes, version()).unwrap();
            assert_eq!(*to_bytes(&read), *bytes);
            assert_eq!(read.refresh_token, record.refresh_token);
            assert_eq!((read.origin, read.state), (record.origin, state));
            let found = read.token(&TokenParameters::new().scope("b a").extra("b", "a"));
            assert_eq!(found.unwrap().access_token.expose(), "token-b a");
            let other = TokenParameters::new().scope("a b").extra("b", "a");
            assert!(read.token(&other).is_none());
            assert!(read.token(&TokenParameters::new().scope("b a")).is_none());
        }
    }

    #[test]
    fn a_record_with_a_key_is_one_of_the_format_that_older_versions_cannot_read() {
        // H5, F7
        let key = DpopKey::generate().unwrap();
        let record = Record {
            refresh_token: Some(Secret::new("r")),
            dpop_key: Some(SessionKey::of(&key).unwrap()),
            tokens: vec![token("a", None), token("b", Some(4))],
            ..Record::default()
        };
        let written = text(&record);
        assert!(written.starts_with(r#"{"format":3,"#), "{written}");
        let read = from_bytes(written.as_bytes(), version()).unwrap();
        assert_eq!(read.dpop_key.as_ref().unwrap().key(), &key);
        assert_eq!(text(&read), written);
        let bound: Vec<_> = read.tokens.iter().map(|token| token.is_bound).collect();
        assert_eq!(bound, [true, false]);
        let parameters = &read.tokens[0].parameters;
        assert_eq!(read.token(parameters).unwrap().dpop_key, Some(key));
        // Without one it is a record as it always was.
        let plain = text(&Record {
            tokens: vec![token("b", Some(4))],
            ..Record::default()
        });
        assert!(
            plain.starts_with(r#"{"format":2,"#) && !plain.contains("bound"),
            "{plain}"
        );
        assert!(!plain.contains("dpop"), "{plain}");
        for bad in [
            written.replace("\"format\":3", "\"format\":2"),
            plain.replace("\"format\":2", "\"format\":3"),
            written.replace("ES256", "ES384"),
            written.replace("ES256", "none"),
            written.replace("PRIVATE", "PUBLIC"),
        ] {
            let problem = from_bytes(bad.as_bytes(), version()).unwrap_err();
            assert_eq!(problem, "it is damaged");
        }
    }

    #[test]
    fn the_flags_of_the_format_before_are_read_as_the_state_that_they_stood_for() {
        // F7: no session that could be read is lost.
        let before = |flags: &str| {
            format!(
                r#"{{"format":1,"sign_in":null,"refresh_token":"r","id_token":null,"tokens":[],"ends_at":null,"saved_at":1,{flags}}}"#
            )
        };
        for (flags, state) in [
            (
                r#""away_since":null,"answer_lost":false,"dead":false"#,
                RefreshTokenState::Ready,
            ),
            (
                r#""away_since":null,"answer_lost":true,"dead":false"#,
                RefreshTokenState::Ready,
            ),
            (
                r#""away_since":7,"answer_lost":false,"dead":false"#,
                sent(version(), false),
            ),
            (
                r#""away_since":7,"answer_lost":true,"dead":false"#,
                RefreshTokenState::AnswerLost { since: SINCE },
            ),
            (
                r#""away_since":7,"answer_lost":true,"dead":true"#,
                RefreshTokenState::Dead,
            ),
            (
                r#""away_since":null,"unspecific_refusals":2,"answer_lost":false,"dead":true"#,
                RefreshTokenState::Dead,
            ),
        ] {
            let read = from_bytes(before(flags).as_bytes(), version()).unwrap();
            assert_eq!(read.state, state, "{flags}");
            assert_eq!(read.refresh_token, Some(Secret::new("r")));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_record_that_was_written_leaves_no_refresh_token_behind() {
        // D6
        use crate::wiping::search::{copies_of, unheard_of};
        let secret = Secret::new(unheard_of());
        for size in [1, 10, 1000] {
            let record = Record {
                refresh_token: Some(secret.clone()),
                tokens: vec![token(&"x".repeat(size), None)],
                ..Record::default()
            };
            let bytes = to_bytes(&record);
            assert_eq!(copies_of(secret.expose()), 3, "{size}: both, and the bytes");
            let read = from_bytes(&bytes, version()).unwrap();
            assert_eq!(read.refresh_token.as_ref(), Some(&secret));
            drop((record, bytes, read));
            assert_eq!(copies_of(secret.expose()), 1, "{size}");
        }
    }

    #[test]
    fn members_that_another_version_wrote_besides_are_passed_over() {
        // F7
        let plain = text(&Record::default());
        let with_more = plain.replace("\"saved_at\"", "\"more\":{\"a\":2},\"saved_at\"");
        assert_ne!(with_more, plain);
        assert!(from_bytes(with_more.as_bytes(), version()).is_ok());
    }

    #[test]
    fn what_is_no_record_or_one_of_another_format_or_cannot_be_is_told_and_never_shown() {
        // F7
        let good = text(&Record::default());
        assert!(from_bytes(good.as_bytes(), version()).is_ok());
        let newer = good.replace("\"format\":2", "\"format\":4");
        let state = "\"refresh_token_state\":\"ready\"";
        assert!(good.contains(state));
        for bad in [
            "",
            "canary",
            "{}",
            "[1]",
            &good[..good.len() / 2],
            &newer,
            &good.replace("\"tokens\":[]", "\"tokens\":\"canary\""),
            &good.replace(state, "\"refresh_token_state\":\"canary\""),
            &good.replace(state, "\"refresh_token_state\":null"),
            &good.replace(state, "\"x\":1"),
            &good.replace(state, "\"refresh_token_state\":{\"sent\":{\"since\":1}}"),
            &good.replace(
                state,
                "\"refresh_token_state\":{\"sent\":{\"since\":1,\"by\":\"canary\",\"after_loss\":false}}",
            ),
            &good.replace(
                state,
                "\"refresh_token_state\":{\"answer_lost\":{\"since\":-1}}",
            ),
        ] {
            let problem = from_bytes(bad.as_bytes(), version()).unwrap_err();
            assert!(!problem.contains("canary"), "{problem}");
        }
        let problem = from_bytes(newer.as_bytes(), version()).unwrap_err();
        assert!(problem.contains("another format"));
    }
}
