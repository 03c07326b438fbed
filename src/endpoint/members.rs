//! The members of an answer, whether the server has written them as JSON or as a form.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::endpoint::media_type;

/// The members of a JSON object (RFC 6749 section 5.1) or of a form, as GitHub and, in its older
/// days, Facebook answer. `None` if the body is neither, wholly and without anything around it.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    read_object(body).or_else(|| read_form(headers, body))
}

/// Servers on .NET have been seen to begin with a byte order mark.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// The texts of a list; whatever is none says nothing.
pub(crate) fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(ToOwned::to_owned).collect()
}

fn read_object(body: &[u8]) -> Option<Map<String, Value>> {
    // Descriptions come in any encoding, and all that matters here is ASCII.
    serde_json::from_str(&String::from_utf8_lossy(without_mark(body))).ok()
}

fn read_form(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    let body = without_mark(body).trim_ascii();
    match media_type::of(headers)?.as_str() {
        "application/x-www-form-urlencoded" => {}
        // Facebook's older answers. A text may be anything, so this one has to be a form wholly.
        "text/plain" if body.iter().all(is_of_a_form) => {}
        _ => return None,
    }
    let mut members: Map<String, Value> = form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    // Any page can be read as a form of some kind; an answer of a token endpoint has one of these.
    if !members.contains_key("access_token") && !members.contains_key("error") {
        return None;
    }
    // Facebook's name for it.
    if !members.contains_key("expires_in")
        && let Some(lifetime) = members.remove("expires")
    {
        members.insert("expires_in".to_owned(), lifetime);
    }
    Some(members)
}

/// Neither a blank nor what markup and JSON are made of. Facebook leaves the `|` of its tokens as
/// it is.
fn is_of_a_form(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b"<>{}\"".contains(byte)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::read;

    fn names(label: Option<&'static str>, body: &str) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        if let Some(label) = label {
            headers.insert("content-type", HeaderValue::from_static(label));
        }
        let members = read(&headers, body.as_bytes())?;
        Some(members.keys().cloned().collect())
    }

    #[test]
    fn a_form_is_one_by_its_label_or_by_all_of_its_text() {
        // K3
        const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
        const TEXT: Option<&str> = Some("text/plain; charset=UTF-8");
        for (label, body, is_form) in [
            (FORM, "access_token=a", true),
            (FORM, "\u{feff}error=x&y=z\r\n", true),
            (
                Some("APPLICATION/X-WWW-FORM-URLENCODED;charset=utf-8"),
                "error=x",
                true,
            ),
            (FORM, "x=y", false),
            (FORM, "", false),
            (FORM, "<html>error=x</html>", false),
            (TEXT, "access_token=a|b&expires=5", true),
            (TEXT, "error=x", true),
            (TEXT, "error=x y", false),
            (TEXT, "<p>&error=x", false),
            (TEXT, "Forbidden", false),
            (Some("text/html"), "access_token=a", false),
            (None, "access_token=a", false),
        ] {
            assert_eq!(names(label, body).is_some(), is_form, "{label:?} {body}");
        }
        let json = names(FORM, r#"{"error_uri":"x"}"#);
        assert_eq!(json.as_deref(), Some(&["error_uri".to_owned()][..]));
    }
}
