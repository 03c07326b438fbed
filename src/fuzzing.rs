//! The parsers as the fuzz targets in `fuzz/` see them; built only by `cargo fuzz`.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

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
