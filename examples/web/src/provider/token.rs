//! The token endpoint (RFC 6749 sections 4.1.3 and 6, RFC 8693) and revocation (RFC 7009).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::provider::Provider;
use crate::provider::answer::Refusal;
use crate::provider::books::{ACCESS_TOKEN_LIFETIME, Granted, Pair, SignIn};
use crate::provider::exchange::{TOKEN_EXCHANGE, exchange};

/// All that the three grants send.
#[derive(Deserialize)]
pub(crate) struct Wish {
    grant_type: String,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    pub(super) subject_token: Option<String>,
    pub(super) audience: Option<String>,
}

pub(crate) async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Result<Json<Value>, Refusal> {
    // The application signs users in, and the API for orders asks another API for them.
    let (by_application, by_orders) = (&provider.application, &provider.orders);
    match wish.grant_type.as_str() {
        "authorization_code" => {
            by_application.check(&headers)?;
            redeem(&provider, wish)
        }
        "refresh_token" => {
            by_application.check(&headers)?;
            refresh(&provider, wish)
        }
        TOKEN_EXCHANGE => {
            by_orders.check(&headers)?;
            exchange(&provider, &wish)
        }
        _ => Err(Refusal::UnsupportedGrantType),
    }
    .map(Json)
}

fn redeem(provider: &Provider, wish: Wish) -> Result<Value, Refusal> {
    let (Some(code), Some(verifier)) = (wish.code, wish.code_verifier) else {
        return Err(Refusal::InvalidRequest);
    };
    let code = provider.books.spend_code(&code)?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    if challenge != code.challenge || wish.redirect_uri.as_ref() != Some(&provider.redirect_uri) {
        return Err(Refusal::InvalidGrant);
    }
    let pair = provider.books.issue(for_orders(provider, &code.sign_in))?;
    let (issuer, client_id) = (&provider.issuer, provider.application.id);
    let person = &code.sign_in.person;
    let id_token = provider
        .key
        .sign(issuer, client_id, person, code.nonce, &pair.access_token)
        .map_err(|_| Refusal::ServerError)?;
    let mut body = answer(&code.sign_in, pair);
    body["id_token"] = id_token.into();
    Ok(body)
}

fn refresh(provider: &Provider, wish: Wish) -> Result<Value, Refusal> {
    let token = wish.refresh_token.ok_or(Refusal::InvalidRequest)?;
    let sign_in = provider.books.spend_refresh_token(&token)?;
    let pair = provider.books.issue(for_orders(provider, &sign_in))?;
    Ok(answer(&sign_in, pair))
}

/// What the application gets: a token for the one API that it calls.
fn for_orders(provider: &Provider, sign_in: &SignIn) -> Granted {
    Granted {
        sign_in: sign_in.clone(),
        client_id: provider.application.id,
        audience: provider.orders.id,
        scope: sign_in.scope.clone(),
    }
}

fn answer(sign_in: &SignIn, pair: Pair) -> Value {
    json!({
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs(),
        "refresh_token": pair.refresh_token,
        "scope": sign_in.scope,
    })
}

#[derive(Deserialize)]
pub(crate) struct Revocation {
    token: String,
}

/// Also of a token that is none: the answer is the same (RFC 7009 section 2.2).
pub(crate) async fn revoke(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(Revocation { token }): Form<Revocation>,
) -> Result<(), Refusal> {
    provider.application.check(&headers)?;
    provider.books.revoke(&token);
    Ok(())
}
