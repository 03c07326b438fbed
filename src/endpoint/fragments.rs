//! What can be read of a JSON object that is broken: why the server refused, and never a token.
//!
//! Servers put their descriptions together by hand: a raw line end in one, an escape that JSON does
//! not know, a comma before the closing brace, an end that is missing. A refresh token that the
//! server has called dead is dead all the same (K10).

use serde_json::{Map, Value};

use crate::endpoint::members::without_mark;

/// The members that decide about a session. No token is among them, so that none can ever come from
/// an object that is not whole.
const READ: [&str; 3] = ["error", "suberror", "claims"];

/// Those of the members `error`, `suberror` and `claims` of the outermost object that are texts, up to
/// where the object can no longer be followed. Empty if the body does not begin with an object.
pub(crate) fn read(body: &[u8]) -> Map<String, Value> {
    let text = String::from_utf8_lossy(without_mark(body));
    let mut members = Map::new();
    let mut rest = Rest(&text);
    rest.skip_blanks();
    if rest.take('{') {
        while let Some((name, value)) = rest.next_member() {
            if let Some(value) = value.filter(|_| READ.contains(&name)) {
                members
                    .entry(name)
                    .or_insert_with(|| Value::String(unescaped(value)));
            }
        }
    }
    members
}

/// What is not read yet of the outermost object.
struct Rest<'text>(&'text str);

impl<'text> Rest<'text> {
    /// Name and value of the next member, as they are written; no value if it is no text. `None` at
    /// the end, or where nothing can be told any more.
    fn next_member(&mut self) -> Option<(&'text str, Option<&'text str>)> {
        self.skip_blanks();
        while self.take(',') {
            self.skip_blanks();
        }
        let name = self.text()?;
        self.skip_blanks();
        if !self.take(':') {
            return None;
        }
        self.skip_blanks();
        if self.0.starts_with('"') {
            return Some((name, Some(self.text()?)));
        }
        self.skip_value()?;
        Some((name, None))
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// What stands between two quotes, escapes and all.
    fn text(&mut self) -> Option<&'text str> {
        let inside = self.0.strip_prefix('"')?;
        let mut escaped = false;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        self.0 = inside.get(end + 1..)?;
        inside.get(..end)
    }

    /// A value that is no text, with all that is in it.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.0.chars().next()? {
                '"' => {
                    self.text()?;
                    continue;
                }
                ',' | '}' if depth == 0 => return Some(()),
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            let mut rest = self.0.chars();
            rest.next();
            self.0 = rest.as_str();
        }
    }
}

/// As JSON understands it; as it is written, where JSON does not.
fn unescaped(written: &str) -> String {
    serde_json::from_str(&format!("\"{written}\"")).unwrap_or_else(|_| written.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{READ, read};

    #[test]
    fn the_code_is_read_as_far_as_the_object_can_be_followed() {
        // K10
        for (body, code) in [
            (
                "{\"error\":\"a\",\"error_description\":\"one\ntwo\"}",
                Some("a"),
            ),
            (
                "{\"error_description\":\"one\r\n\ttwo\",\"error\":\"a\"}",
                Some("a"),
            ),
            (r#"{"x":"isn\'t \\","error":"a"}"#, Some("a")),
            (r#"{"x":"\"","error":"a","#, Some("a")),
            (r#"{"error":"a",}"#, Some("a")),
            (r#"{,"x":1,,"error":"a"}"#, Some("a")),
            (r#"{"error":"a","x":tru"#, Some("a")),
            (
                r#"{"x":[1,{"error":"b"},"]}"],"y":null,"error":"a""#,
                Some("a"),
            ),
            ("\u{feff}\r\n {\"error\":\"a\"} text", Some("a")),
            (r#"{"error":"a","error":"b","#, Some("a")),
            (r#"{"error":"a\u005fb","#, Some("a_b")),
            (r#"{"error":"inv"#, None),
            (r#"{"error":{"code":"a"},"#, None),
            (r#"{"x":"say "hi"","error":"a"}"#, None),
            (r#"{"x":}],"error":"a"}"#, None),
            (r#"{"x" "error":"a"}"#, None),
            (r#"Notice: {"error":"a"}"#, None),
            (r#"[{"error":"a"}]"#, None),
            (r#""error":"a""#, None),
            ("", None),
        ] {
            let members = read(body.as_bytes());
            let read = members.get("error").and_then(Value::as_str);
            assert_eq!(read, code, "{body}");
        }
    }

    #[test]
    fn what_says_that_a_session_lives_on_is_read_beside_the_code() {
        // K12
        let body = "{\"error\":\"a\",\"suberror\":\"b\",\"claims\":\"{\\\"x\\\":1}\",\"y\":\"\n\"}";
        let members = Value::Object(read(body.as_bytes()));
        assert_eq!(
            members,
            json!({ "error": "a", "suberror": "b", "claims": r#"{"x":1}"# })
        );
    }

    #[test]
    fn a_deeply_nested_object_is_no_overflow() {
        // K10
        let body = format!(r#"{{"x":{}"#, "[{".repeat(300_000));
        assert!(read(body.as_bytes()).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic_or_a_token(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            text in r#"[{}\[\],:"\\ aeör\n]{0,60}"#,
        ) {
            // K10
            for body in [bytes, [b"{", text.as_bytes()].concat()] {
                let members = read(&body);
                prop_assert!(members.keys().all(|name| READ.contains(&name.as_str())));
            }
        }

        #[test]
        fn a_whole_object_is_read_as_json_reads_it(
            before in "[ -~]{0,20}",
            code in "[ -~é]{0,20}",
        ) {
            // K10
            let body = json!({ "a": before, "b": [before, { "error": before }], "error": code });
            let members = read(body.to_string().as_bytes());
            prop_assert_eq!(members.get("error"), body.get("error"));
        }
    }
}
