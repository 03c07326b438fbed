//! Where users say yes: the authorization endpoint, and the page of a device.

use reqwest_bearer::Error;
use reqwest_bearer::reqwest::Url;
use serde_json::{Value, json};

use crate::seen::{SeenRequest, value};
use crate::server::books::{Books, Code, Decision, Device};
use crate::server::token_endpoint;

/// The redirect that ends a sign-in of this user, who agrees to everything (RFC 6749 section 4.1.2).
///
/// # Errors
/// If the request is one that no redirect answers (section 4.1.2.1): the client or the redirect URI is
/// wrong.
pub(super) fn redirect(
    books: &mut Books,
    issuer: &str,
    query: &str,
    user: &str,
) -> Result<String, Error> {
    let asked = |name| value(query.as_bytes(), name);
    let client_id = asked("client_id").unwrap_or_default();
    let Some(secret) = books.clients.get(&client_id) else {
        return Err(Error::rejected("the fake server does not know this client"));
    };
    let is_public = secret.is_none();
    let redirect_uri = asked("redirect_uri").unwrap_or_default();
    let Ok(mut redirect) = Url::parse(&redirect_uri) else {
        return Err(Error::rejected("the redirect URI is no URL"));
    };
    let challenge = asked("code_challenge");
    let has_method =
        challenge.is_none() || asked("code_challenge_method").as_deref() == Some("S256");
    let refusal = if asked("response_type").as_deref() != Some("code") {
        Some("unsupported_response_type")
    } else if !has_method || (is_public && challenge.is_none()) {
        // RFC 7636 section 4.4.1, and RFC 9700 section 2.1.1.
        Some("invalid_request")
    } else {
        None
    };
    let (name, text) = match refusal {
        Some(code) => ("error", code.to_owned()),
        None => {
            let code = books.new_text("code");
            let issued = Code {
                client_id,
                user: user.to_owned(),
                scope: asked("scope"),
                redirect_uri,
                challenge,
                spent_on: None,
            };
            books.codes.insert(code.clone(), issued);
            ("code", code)
        }
    };
    redirect.query_pairs_mut().append_pair(name, &text);
    if let Some(state) = asked("state") {
        redirect.query_pairs_mut().append_pair("state", &state);
    }
    // RFC 9207.
    redirect.query_pairs_mut().append_pair("iss", issuer);
    Ok(redirect.into())
}

/// The codes of RFC 8628 section 3.2.
pub(super) fn device_codes(
    books: &mut Books,
    issuer: &str,
    request: &SeenRequest,
) -> token_endpoint::Outcome {
    let client_id = token_endpoint::client(books, request)?;
    let device_code = books.new_text("device");
    // As people type it, and another one for each device of this server.
    let number = device_code.rsplit('-').next().unwrap_or_default();
    let user_code = format!("FAKE-{number:0>4}");
    let device = Device {
        client_id,
        scope: request.scope(),
        user_code: user_code.clone(),
        decision: None,
    };
    books.devices.insert(device_code.clone(), device);
    Ok(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": format!("{issuer}/device"),
        "expires_in": 600,
        "interval": 5,
    }))
}

/// What the user of this code decides; says whether there is such a code.
pub(super) fn decide(books: &mut Books, user_code: &str, decision: Decision) -> bool {
    let mut devices = books.devices.values_mut();
    let device = devices.find(|device| device.user_code == user_code);
    if let Some(device) = device {
        device.decision = Some(decision);
        return true;
    }
    false
}

/// The metadata of RFC 8414 section 2.
pub(super) fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "revocation_endpoint": at("/revoke"),
        "device_authorization_endpoint": at("/device_authorization"),
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code",
            "client_credentials",
            "refresh_token",
            token_endpoint::DEVICE_CODE,
            token_endpoint::TOKEN_EXCHANGE,
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "authorization_response_iss_parameter_supported": true,
    })
}
