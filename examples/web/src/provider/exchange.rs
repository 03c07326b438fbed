//! A token for a token (RFC 8693): what the API for orders calls the one for the stock with.

use serde_json::{Value, json};

use crate::provider::Provider;
use crate::provider::answer::Refusal;
use crate::provider::books::Granted;
use crate::provider::token::Wish;

pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// For the same user, for the other API, with no more than the user has agreed to, and for no longer.
pub(super) fn exchange(provider: &Provider, wish: &Wish) -> Result<Value, Refusal> {
    let subject = wish.subject_token.as_deref();
    let live = subject.and_then(|token| provider.books.find_live(token));
    // Nor is a token of anybody's worth something here, but one that came to whoever asks.
    let live = live.filter(|live| live.granted.audience == provider.orders.id);
    let live = live.ok_or(Refusal::InvalidRequest)?;
    if wish.audience.as_deref() != Some(provider.stock.id) {
        return Err(Refusal::InvalidTarget);
    }
    let agreed = live.granted.scope.split(' ');
    let scope: Vec<_> = agreed.filter(|name| name.starts_with("stock:")).collect();
    let granted = Granted {
        client_id: provider.orders.id,
        audience: provider.stock.id,
        scope: scope.join(" "),
        ..live.granted
    };
    let scope = granted.scope.clone();
    let token = provider.books.issue_access_token(granted, live.remaining)?;
    Ok(json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": live.remaining.as_secs(),
        "scope": scope,
    }))
}
