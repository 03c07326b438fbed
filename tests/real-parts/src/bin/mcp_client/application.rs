//! The client as an application with a token of its own, or one that has a token of somebody else to show.

use reqwest_bearer::{
    ClientAuthentication, ExchangedTokens, JwtBearer, NamedClient, NamedExchangeClient,
    ProtectedResource, ResourceCredentials, SubjectToken, TokenEndpoint, TokenExchange,
};

use crate::Outcome;
use crate::context::Context;

/// `None` where it is a user who has to sign in.
pub(crate) async fn client(
    context: &Context,
    api: &ProtectedResource,
) -> Outcome<Option<NamedClient>> {
    let Some(own) = context.client()? else {
        return Ok(None);
    };
    if context.issuer.is_some() {
        return Ok(None);
    }
    Ok(Some(if let Some(jwt) = &context.valid_jwt {
        let endpoint = api.authorization_server().await?.client(own)?;
        let wanted = api.metadata().await?.parameters();
        let grant = JwtBearer::new(endpoint, jwt).parameters(wanted);
        NamedClient::new("mcp", api.url(), grant)?
    } else if context.idp_id_token.is_some() {
        by_exchange(context, own, api).await?
    } else {
        // The suite does not say of which server the client is: of whichever the API names.
        let grant = ResourceCredentials::new(api, move |_| Some(own.clone()));
        NamedClient::new("mcp", api.url(), grant)?
    }))
}

/// The company's server gives an assertion for the user's id token, and the API's server a token for that.
async fn by_exchange(
    context: &Context,
    own: ClientAuthentication,
    api: &ProtectedResource,
) -> Outcome<NamedClient> {
    let missing = "the context lacks something of the company's server";
    let company = context.idp_token_endpoint.as_ref().ok_or(missing)?;
    let id = context.idp_client_id.as_ref().ok_or(missing)?;
    let id_token = context.idp_id_token.as_ref().ok_or(missing)?;
    let server = api.authorization_server().await?;
    let metadata = api.metadata().await?;
    let company = TokenEndpoint::new(company, ClientAuthentication::none(id))?;
    let exchange = TokenExchange::new(company)
        .audience(server.issuer())
        .parameters(metadata.parameters())
        .then_jwt_bearer(server.client(own)?);
    let tokens = ExchangedTokens::new(exchange)?;
    let mcp = NamedExchangeClient::new("mcp", api.url(), &tokens)?;
    let caller = SubjectToken::new(id_token)?.token_type(SubjectToken::ID_TOKEN);
    Ok(mcp.for_subject_token(&caller))
}
