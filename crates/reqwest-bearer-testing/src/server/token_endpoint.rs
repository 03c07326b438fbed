//! What the fake server's token endpoint answers: one function for each grant.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::seen::SeenRequest;
use crate::server::books::{Books, Decision, GrantId, Presented};

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The body of a token answer, or the code of a refusal (RFC 6749 section 5).
pub(super) type Outcome = Result<Value, &'static str>;

pub(super) fn answer(books: &mut Books, request: &SeenRequest, now: SystemTime) -> Outcome {
    let client = client(books, request)?;
    match request.grant_type().as_deref() {
        Some("client_credentials") => client_credentials(books, request, &client, now),
        Some("refresh_token") => refresh_token(books, request, &client, now),
        Some("authorization_code") => authorization_code(books, request, &client, now),
        Some(DEVICE_CODE) => device_code(books, request, &client, now),
        Some(TOKEN_EXCHANGE) => token_exchange(books, request, &client, now),
        Some(_) => Err("unsupported_grant_type"),
        None => Err("invalid_request"),
    }
}

/// Who sends the request, by Basic credentials, by the body, or as a public client (RFC 6749 section 2.3).
pub(super) fn client(books: &Books, request: &SeenRequest) -> Result<String, &'static str> {
    let by_header = request.basic_credentials();
    let (id, secret) = match by_header {
        Some((id, secret)) => (id, Some(secret)),
        None => {
            let id = request.field("client_id").ok_or("invalid_client")?;
            (id, request.field("client_secret"))
        }
    };
    match books.clients.get(&id) {
        Some(known) if *known == secret => Ok(id),
        _ => Err("invalid_client"),
    }
}

fn client_credentials(
    books: &mut Books,
    request: &SeenRequest,
    client: &str,
    now: SystemTime,
) -> Outcome {
    // RFC 6749 section 4.4: for confidential clients alone.
    if books.clients.get(client).is_none_or(Option::is_none) {
        return Err("unauthorized_client");
    }
    let grant = books.grant(client, None, request.scope());
    Ok(tokens(books, grant, request.scope(), None, now))
}

fn refresh_token(
    books: &mut Books,
    request: &SeenRequest,
    client: &str,
    now: SystemTime,
) -> Outcome {
    let sent = request.field("refresh_token").ok_or("invalid_request")?;
    let Presented::Good(grant) = books.present(&sent, client) else {
        return Err("invalid_grant");
    };
    let granted = books.granted(grant).and_then(|grant| grant.scope.clone());
    let scope = match request.scope() {
        Some(asked) if !is_within(&asked, granted.as_deref()) => return Err("invalid_scope"),
        Some(asked) => Some(asked),
        None => granted,
    };
    let next = books.rotates.then(|| {
        books.spend(&sent);
        books.issue_refresh_token(grant)
    });
    Ok(tokens(books, grant, scope, next, now))
}

fn authorization_code(
    books: &mut Books,
    request: &SeenRequest,
    client: &str,
    now: SystemTime,
) -> Outcome {
    let sent = request.field("code").ok_or("invalid_request")?;
    let code = books.codes.get(&sent).ok_or("invalid_grant")?;
    if let Some(grant) = code.spent_on {
        // RFC 6749 section 4.1.2: what was issued for it before is revoked.
        books.end(grant);
        return Err("invalid_grant");
    }
    let is_theirs = code.client_id == client;
    let is_back = request.field("redirect_uri").as_deref() == Some(code.redirect_uri.as_str());
    let verifier = request.field("code_verifier");
    let challenge = verifier.map(|verifier| challenge_of(&verifier));
    if !is_theirs || !is_back || challenge != code.challenge {
        return Err("invalid_grant");
    }
    let (user, scope) = (code.user.clone(), code.scope.clone());
    let grant = books.grant(client, Some(&user), scope.clone());
    if let Some(code) = books.codes.get_mut(&sent) {
        code.spent_on = Some(grant);
    }
    let refresh_token = books.issue_refresh_token(grant);
    Ok(tokens(books, grant, scope, Some(refresh_token), now))
}

fn device_code(books: &mut Books, request: &SeenRequest, client: &str, now: SystemTime) -> Outcome {
    let sent = request.field("device_code").ok_or("invalid_request")?;
    let device = books.devices.get(&sent).ok_or("expired_token")?;
    if device.client_id != client {
        return Err("invalid_grant");
    }
    let scope = device.scope.clone();
    match device.decision.clone() {
        None => Err("authorization_pending"),
        Some(Decision::Denied) => Err("access_denied"),
        Some(Decision::Approved { user }) => {
            books.devices.remove(&sent);
            let grant = books.grant(client, Some(&user), scope.clone());
            let refresh_token = books.issue_refresh_token(grant);
            Ok(tokens(books, grant, scope, Some(refresh_token), now))
        }
    }
}

/// RFC 8693, for access tokens that this server has issued itself.
fn token_exchange(
    books: &mut Books,
    request: &SeenRequest,
    client: &str,
    now: SystemTime,
) -> Outcome {
    let subject_token = request.field("subject_token").ok_or("invalid_request")?;
    if request.field("subject_token_type").is_none() {
        return Err("invalid_request");
    }
    // RFC 8693 section 2.2.2: `invalid_request`, whatever is wrong with the token.
    if !books.is_valid(&subject_token, now) {
        return Err("invalid_request");
    }
    let user = books
        .grant_of(&subject_token)
        .and_then(|grant| grant.user.clone());
    let grant = books.grant(client, user.as_deref(), request.scope());
    let mut body = tokens(books, grant, request.scope(), None, now);
    body["issued_token_type"] = json!(ACCESS_TOKEN);
    Ok(body)
}

/// The body of RFC 6749 section 5.1, with what the test wants changed in it.
fn tokens(
    books: &mut Books,
    grant: GrantId,
    scope: Option<String>,
    refresh_token: Option<String>,
    now: SystemTime,
) -> Value {
    let lifetime = books.token_lifetime;
    let expires_in = match lifetime.subsec_nanos() {
        0 => json!(lifetime.as_secs()),
        _ => json!(lifetime.as_secs_f64()),
    };
    let mut body = json!({
        "access_token": books.issue_access_token(grant, now),
        "token_type": "Bearer",
        "expires_in": expires_in,
    });
    if let Some(refresh_token) = refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    if let Some(scope) = scope {
        body["scope"] = json!(scope);
    }
    for (name, value) in &books.members {
        match (value, body.as_object_mut()) {
            (Value::Null, Some(body)) => {
                body.remove(name);
            }
            (value, Some(body)) => {
                body.insert(name.clone(), value.clone());
            }
            (_, None) => {}
        }
    }
    body
}

/// RFC 6749 section 6: a refresh may ask for less than was granted, and not for more.
fn is_within(asked: &str, granted: Option<&str>) -> bool {
    let granted: Vec<_> = granted.unwrap_or_default().split(' ').collect();
    asked.split(' ').all(|scope| granted.contains(&scope))
}

/// RFC 7636 section 4.2.
pub(super) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
