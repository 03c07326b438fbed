//! The token in an answer that reports no error.

use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::dpop::DPOP;
use crate::endpoint::lifetime;
use crate::endpoint::verdict::Asked;
use crate::secret::Secret;
use crate::token::{TokenResponse, TokenType, UNSENDABLE, bearer_header};

/// Takes the token and what came with it out of the members of an answer, whose server's clock said
/// `date`. With a proof in the request it may be a bound one, and for another server one that is no access
/// token.
///
/// # Errors
/// What is wrong with the answer, as a clause for a message and without any text of the answer (D6).
/// The members that were not looked at by then are still there.
pub(crate) fn read_token(
    members: &mut Map<String, Value>,
    date: SystemTime,
    asked: Asked,
) -> Result<TokenResponse, String> {
    let token_type = read_token_type(members.remove("token_type").as_ref(), asked)?;
    let access_token = match members.remove("access_token") {
        Some(Value::String(text)) if !text.is_empty() => Secret::new(text),
        Some(Value::String(_)) => return Err("has an empty `access_token`".to_owned()),
        Some(_) => return Err("has an `access_token` that is no text".to_owned()),
        None => return Err("has no `access_token`".to_owned()),
    };
    if bearer_header(&access_token).is_err() {
        return Err(format!("has an `access_token` that {UNSENDABLE}"));
    }
    let lifetime = lifetime::of_access_token(members, date);
    let refresh_in = lifetime::of_hint(members, date);
    for read in ["expires_in", "refresh_in"] {
        members.remove(read);
    }
    let id_token = take_secret(members, "id_token");
    Ok(TokenResponse {
        access_token,
        token_type,
        binding: None,
        lifetime,
        refresh_in,
        refresh_token: take_secret(members, "refresh_token"),
        refresh_token_lifetime: lifetime::of_refresh_token(members, date),
        id_token_lifetime: id_token
            .as_ref()
            .and_then(|id_token| lifetime::of_id_token(id_token, date)),
        id_token,
        scope: read_scope(members.remove("scope")),
        asked_scope: None,
        members: std::mem::take(members),
        ends_for_good: false,
    })
}

/// RFC 6749 section 7.1: a client must not use a token whose type it does not understand. Servers
/// write there whatever they like ("User Access Token", "jwt-bearer", "bot"), and mean a bearer
/// token; so refused are those types alone that need a proof, or are none.
fn read_token_type(value: Option<&Value>, asked: Asked) -> Result<TokenType, String> {
    const NOT_APPLICABLE: &str = "N_A";
    const NO_BEARER: [&str; 5] = [DPOP, NOT_APPLICABLE, "PoP", "mac", "hmac"];
    let text = value.and_then(Value::as_str).unwrap_or_default().trim();
    let refused = NO_BEARER
        .into_iter()
        .find(|name| text.eq_ignore_ascii_case(name));
    match refused {
        Some(DPOP) if asked.is_proven() => Ok(TokenType::Dpop),
        // RFC 8693 section 2.2.1: what no API takes, and another authorization server does.
        Some(NOT_APPLICABLE) if asked.is_for_another_server() => Ok(TokenType::Bearer),
        Some(NOT_APPLICABLE) => Err(
            "brings a token of the type N_A, which is none to use at an API, but to hand to another \
             authorization server; see `TokenExchange::then_jwt_bearer`"
                .to_owned(),
        ),
        Some(name) => Err(format!(
            "brings a token of the type {name}, which is no bearer token"
        )),
        None => Ok(TokenType::Bearer),
    }
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
