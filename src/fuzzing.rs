//! The parsers as the fuzz targets in `fuzz/` see them; built only by `cargo fuzz`.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::endpoint::address::PlainHttp;
use crate::endpoint::verdict::Asked;

/// Reads header lines, separated by line ends, as the challenges of a 401.
pub fn challenge(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let refused = crate::challenge::refuses(StatusCode::UNAUTHORIZED, &headers);
    let challenge = crate::challenge::bearer_challenge(&headers);
    assert!(refused || challenge.is_some_and(|challenge| challenge.error().is_some()));
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
    let [high, low, body @ ..] = data else {
        return;
    };
    let number = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let Ok(status) = StatusCode::from_u16(number) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let labels = ["application/x-www-form-urlencoded", "text/plain"];
    let mut headers = HeaderMap::new();
    if let Some(label) = labels.get(usize::from(*high) % 4) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(label));
    }
    let asked = if low % 2 == 0 {
        Asked::Refresh
    } else {
        Asked::Other
    };
    let answer = crate::endpoint::answer::parse_token_answer(asked, status, &headers, body, now);
    if let Ok(response) = answer {
        assert!(status.is_success());
        assert!(crate::token::bearer_header(&response.access_token).is_ok());
    }
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
