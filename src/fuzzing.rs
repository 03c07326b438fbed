//! The parsers as the fuzz targets in `fuzz/` see them; built only by `cargo fuzz`.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use crate::challenge;
use crate::endpoint::address::PlainHttp;
use crate::endpoint::translation::{Hook, Translated, read_translated};
use crate::endpoint::transport::{Answer, status_says_all};
use crate::endpoint::verdict::Asked;
use crate::error::{Error, ErrorKind};
use crate::token::{TokenResponse, TokenType};

/// Reads header lines, separated by line ends, as the challenges of a 401.
pub fn challenge(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    for token_type in [TokenType::Bearer, TokenType::Dpop] {
        let refused = challenge::refuses(StatusCode::UNAUTHORIZED, &headers, token_type);
        let said = challenge::challenge_to(token_type, &headers);
        assert!(refused || said.is_some_and(|said| said.error().is_some()));
    }
    let wants_nonce = challenge::wants_nonce(StatusCode::UNAUTHORIZED, &headers);
    assert!(!wants_nonce || challenge::blames_proof(StatusCode::UNAUTHORIZED, &headers));
}

/// Joins the second line of the text to the base URL in its first line.
pub fn path_join(text: &str) {
    let (base, path) = text.split_once('\n').unwrap_or(("https://h/v1", text));
    let Ok(base) = crate::path::base_url(base) else {
        return;
    };
    let Ok(url) = crate::path::join(&base, path) else {
        return;
    };
    let start = path.to_ascii_lowercase();
    if start.starts_with("https://") || start.starts_with("http://") {
        return;
    }
    assert_eq!(url.origin(), base.origin());
    let base_path = base.path().strip_suffix('/').unwrap_or(base.path());
    let rest = url.path().strip_prefix(base_path);
    assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
}

/// Reads an answer of a token endpoint: the first two bytes choose its status, its label and what was
/// asked for, the rest is its body.
pub fn token_answer(data: &[u8]) {
    let Some((asked, answer)) = any_answer(data) else {
        return;
    };
    let (status, headers, body) = (answer.status, &answer.headers, &answer.body);
    let read = crate::endpoint::answer::parse_token_answer(asked, status, headers, body, now());
    check(status, body, &read);
}

/// The same with a hook that translates it: what stands behind the last line end is what the hook returns,
/// if it is JSON, and otherwise the hook fails.
pub fn translated_answer(data: &[u8]) {
    let line_end = data.iter().rposition(|byte| *byte == b'\n');
    let (sent, returned) = data.split_at(line_end.unwrap_or(data.len()));
    let Some((asked, answer)) = any_answer(sent) else {
        return;
    };
    if status_says_all(answer.status) {
        return;
    }
    let said = match serde_json::from_slice(returned) {
        Ok(Value::Null) => Translated::Unchanged,
        Ok(value) => Translated::Members(value),
        Err(_) => Translated::Fault(Error::protocol("the hook failed")),
    };
    let (read, hook) = read_translated(asked, &answer, said, now());
    // What the hook lost is no verdict.
    if let (Hook::LostTheAnswer, Err(error)) = (hook, &read) {
        assert!(error.how_far().is_loss());
    }
    check(answer.status, data, &read);
}

/// What holds of each answer, however odd: a token that comes of it can be sent, an error does not show
/// what came, and a session ends only where something says that its refresh token is dead.
fn check(status: StatusCode, said: &[u8], read: &Result<TokenResponse, Error>) {
    match read {
        Ok(response) => {
            assert!(status.is_success());
            assert!(crate::token::bearer_header(&response.access_token).is_ok());
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(shown.len() < 2_000 && shown.is_ascii());
            let ends = error.kind() == ErrorKind::SignInRequired && !error.is_about_one_api();
            assert!(!ends || (!status_says_all(status) && names_a_death(said)));
        }
    }
}

/// Whether a text has any of the words in it that a dead refresh token is called by. Where it is written
/// with escapes, that cannot be told.
fn names_a_death(said: &[u8]) -> bool {
    let letters: Vec<u8> = said
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .copied()
        .collect();
    let letters = String::from_utf8_lossy(&letters).to_ascii_lowercase();
    let words = [
        "grant",
        "refreshtoken",
        "invalidcode",
        "tokenrevoked",
        "revokedtoken",
        "tokenexpired",
        "expiredtoken",
    ];
    said.contains(&b'\\') || said.contains(&b'%') || words.iter().any(|word| letters.contains(word))
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn any_answer(data: &[u8]) -> Option<(Asked, Answer)> {
    let [high, low, body @ ..] = data else {
        return None;
    };
    let number = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let status = StatusCode::from_u16(number).ok()?;
    let labels = ["application/x-www-form-urlencoded", "text/plain"];
    let mut headers = HeaderMap::new();
    if let Some(label) = labels.get(usize::from(*high) % 4) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(label));
    }
    let asked = if low % 2 == 0 {
        Asked::REFRESH
    } else {
        Asked::OTHER
    };
    let body = body.to_vec().into();
    Some((
        asked,
        Answer {
            status,
            headers,
            body,
        },
    ))
}

/// Reads a discovery document of `https://as.test`.
pub fn discovery_document(data: &[u8]) {
    let refused = PlainHttp::Refused;
    let naming = crate::endpoint::document::Naming::Same;
    let issuer = "https://as.test";
    let document = crate::endpoint::document::parse_document(issuer, naming, data, refused);
    if let Ok(document) = document {
        assert!(crate::origin::is_secure(&document.token_endpoint));
    }
}

/// Reads a `Retry-After` header.
pub fn retry_after(data: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let pause = crate::retry_after::parse(&value, SystemTime::UNIX_EPOCH);
        assert!(pause.is_none_or(|pause| pause <= Duration::from_secs(3600)));
    }
}

/// Decodes the claims of a challenge.
pub fn claims(data: &[u8]) {
    let encoded = data
        .iter()
        .filter(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte));
    let text: String = encoded.map(|byte| char::from(*byte)).collect();
    let header = format!("Bearer error=\"insufficient_claims\", claims=\"{text}\"");
    let Ok(value) = HeaderValue::from_str(&header) else {
        return;
    };
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    let challenge = crate::challenge::bearer_challenge(&headers);
    if let Some(claims) = challenge.and_then(|challenge| challenge.decoded_claims()) {
        assert!(claims.len() <= 8 * 1024);
        assert!(serde_json::from_str::<serde_json::Map<String, Value>>(&claims).is_ok());
    }
}
