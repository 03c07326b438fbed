//! The token in an answer that reports no error.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::token::{LONGEST_LIFETIME, Lifetime, TokenResponse, UNSENDABLE, bearer_header};

/// Reads the token and what came with it.
///
/// # Errors
/// What is wrong with the answer, as a clause for a message and without any text of the answer (D6).
pub(crate) fn read_token(mut members: Map<String, Value>) -> Result<TokenResponse, String> {
    check_token_type(members.remove("token_type").as_ref())?;
    let access_token = match members.remove("access_token") {
        Some(Value::String(text)) if !text.is_empty() => Secret::new(text),
        Some(Value::String(_)) => return Err("has an empty `access_token`".to_owned()),
        Some(_) => return Err("has an `access_token` that is no text".to_owned()),
        None => return Err("has no `access_token`".to_owned()),
    };
    if bearer_header(&access_token).is_err() {
        return Err(format!("has an `access_token` that {UNSENDABLE}"));
    }
    let refresh_in = match read_lifetime(members.remove("refresh_in").as_ref()) {
        Lifetime::Stated(after) => Some(after),
        Lifetime::Unstated | Lifetime::Spent => None,
    };
    Ok(TokenResponse {
        access_token,
        lifetime: read_lifetime(members.remove("expires_in").as_ref()),
        refresh_in,
        refresh_token: take_secret(&mut members, "refresh_token"),
        id_token: take_secret(&mut members, "id_token"),
        scope: read_scope(members.remove("scope")),
        asked_scope: None,
        members,
    })
}

/// RFC 6749 section 7.1: a client must not use a token whose type it does not understand. Servers
/// write there whatever they like ("User Access Token", "jwt-bearer", "bot"), and mean a bearer
/// token; so refused are those types alone that need a proof, or are none.
fn check_token_type(value: Option<&Value>) -> Result<(), String> {
    const NO_BEARER: [&str; 5] = ["DPoP", "N_A", "PoP", "mac", "hmac"];
    let text = value.and_then(Value::as_str).unwrap_or_default().trim();
    let refused = NO_BEARER
        .into_iter()
        .find(|name| text.eq_ignore_ascii_case(name));
    match refused {
        Some(name) => Err(format!(
            "brings a token of the type {name}, which is no bearer token"
        )),
        None => Ok(()),
    }
}

/// `expires_in` and `refresh_in` in all the forms that servers use (B11).
fn read_lifetime(value: Option<&Value>) -> Lifetime {
    let seconds = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => read_number(text.trim()),
        _ => None,
    };
    let Some(seconds) = seconds else {
        return Lifetime::Unstated;
    };
    if seconds < 0.0 {
        return Lifetime::Spent;
    }
    // What is too long for a duration is longer than ten years, too.
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME);
    if lifetime.is_zero() {
        return Lifetime::Spent;
    }
    Lifetime::Stated(lifetime.min(LONGEST_LIFETIME))
}

/// Only digits and what goes with them: "inf", "NaN" and "infinity" are no numbers here.
fn read_number(text: &str) -> Option<f64> {
    let is_numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_numeric { text.parse().ok() } else { None }
}

fn take_secret(members: &mut Map<String, Value>, name: &str) -> Option<Secret> {
    match members.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text)),
        _ => None,
    }
}

/// A text by RFC 6749 section 3.3; a few servers send a list.
fn read_scope(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(scope) => Some(scope),
        Value::Array(scopes) => {
            let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
            scopes.map(|scopes| scopes.join(" "))
        }
        _ => None,
    }
}
