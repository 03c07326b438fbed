//! The claims of two requests in one (OpenID Connect Core section 5.5).

use serde_json::{Map, Value};

/// Both claims requests, of which the second counts where they contradict each other; that one alone if
/// the first is no JSON object.
pub(super) fn merged(first: &str, second: &str) -> String {
    let read = serde_json::from_str::<Map<String, Value>>;
    match (read(first), read(second)) {
        (Ok(mut first), Ok(second)) => {
            merge(&mut first, second);
            Value::Object(first).to_string()
        }
        _ => second.to_owned(),
    }
}

fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(into)), Value::Object(more)) => merge(into, more),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn claims_of_two_requests_are_asked_for_together_and_the_second_ones_count() {
        // K28
        let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
        let demanded = r#"{"access_token":{"nbf":{"essential":true,"value":"16"}}}"#;
        let both = r#"{"access_token":{"nbf":{"essential":true,"value":"16"},"xms_cc":{"values":["cp1"]}}}"#;
        for (first, second, expected) in [
            (capable, demanded, both),
            ("", demanded, demanded),
            ("[1]", demanded, demanded),
            (
                r#"{"a":1,"b":2}"#,
                r#"{"a":{"c":3}}"#,
                r#"{"a":{"c":3},"b":2}"#,
            ),
            (r#"{"a":{"c":3}}"#, r#"{"a":null}"#, r#"{"a":null}"#),
        ] {
            assert_eq!(merged(first, second), expected);
        }
    }
}
