//! The cookie: a session's id, and nothing else.

use axum::http::header::{COOKIE, InvalidHeaderValue};
use axum::http::{HeaderMap, HeaderValue};

use crate::public_url::PublicUrl;
use crate::session::SessionId;

/// Lax, so that the redirect from the provider brings it along; a form on a foreign page does not.
const ATTRIBUTES: &str = "Path=/; HttpOnly; SameSite=Lax";

/// Its name. The prefix `__Host-` makes browsers refuse it from other hosts and without https.
fn name(public: &PublicUrl) -> &'static str {
    if public.is_https() {
        "__Host-web_session"
    } else {
        "web_session"
    }
}

/// The session id that a request brought.
pub(crate) fn read(headers: &HeaderMap, public: &PublicUrl) -> Option<SessionId> {
    let mut pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(key, _)| *key == name(public))?;
    Some(SessionId(id.to_owned()))
}

/// The `Set-Cookie` header that gives a browser this session.
pub(crate) fn give(id: &SessionId, public: &PublicUrl) -> Result<HeaderValue, InvalidHeaderValue> {
    header(&format!("{}={}", name(public), id.as_str()), public)
}

/// The one that takes it away.
pub(crate) fn take_away(public: &PublicUrl) -> Result<HeaderValue, InvalidHeaderValue> {
    header(&format!("{}=; Max-Age=0", name(public)), public)
}

fn header(start: &str, public: &PublicUrl) -> Result<HeaderValue, InvalidHeaderValue> {
    let secure = if public.is_https() { "; Secure" } else { "" };
    let mut header = HeaderValue::try_from(format!("{start}; {ATTRIBUTES}{secure}"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;
    use axum::http::{HeaderMap, HeaderValue};

    use super::{give, read, take_away};
    use crate::public_url::PublicUrl;
    use crate::session::SessionId;

    #[test]
    fn the_cookie_holds_an_id_that_scripts_and_foreign_forms_do_not_get() {
        let id = SessionId::new().unwrap();
        let plain = give(&id, &PublicUrl::new("http://127.0.0.1:8080")).unwrap();
        let expected = format!(
            "web_session={}; Path=/; HttpOnly; SameSite=Lax",
            id.as_str()
        );
        assert_eq!(plain, expected);
        let public = PublicUrl::new("https://app.example.com");
        let secure = give(&id, &public).unwrap();
        assert_eq!(secure, format!("__Host-{expected}; Secure"));
        let gone = take_away(&public).unwrap();
        assert!(
            gone.to_str()
                .unwrap()
                .starts_with("__Host-web_session=; Max-Age=0;")
        );
    }

    #[test]
    fn the_id_is_found_among_other_cookies() {
        let public = PublicUrl::new("http://127.0.0.1:8080");
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, &public), None);
        headers.append(COOKIE, HeaderValue::from_static("a=b; web_session_x=1"));
        assert_eq!(read(&headers, &public), None);
        headers.append(
            COOKIE,
            HeaderValue::from_static("c=d; web_session=the-id; e"),
        );
        assert_eq!(
            read(&headers, &public),
            Some(SessionId("the-id".to_owned()))
        );
    }
}
