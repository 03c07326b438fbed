//! Takes an access token away behind the client's back, so that one can watch it heal.

use axum::extract::State;
use axum::response::Redirect;
use reqwest_bearer::{Secret, TokenKind};

use crate::application::App;
use crate::fault::Fault;
use crate::session::SignedIn;

/// Revokes it at the provider and tells nobody else, as an administrator would: the next call
/// finds out. The refresh token stays.
pub(crate) async fn revoke(State(app): State<App>, _: SignedIn) -> Result<Redirect, Fault> {
    let token = app.users.for_current_subject().token().await?;
    let token = Secret::new(token.expose());
    app.endpoint.revoke(&token, TokenKind::AccessToken).await?;
    Ok(Redirect::to("/?notice=revoked"))
}
