//! Attaches the token to each request of the generated client, and sends once more after a 401.

use progenitor_client::{ClientHooks, ClientInfo, Error, OperationInfo};
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response, StatusCode};

use crate::orders::Client;
use crate::tokens::Tokens;

impl ClientHooks<Tokens> for Client {
    async fn pre<E>(&self, request: &mut Request, _: &OperationInfo) -> Result<(), Error<E>> {
        let token = self.inner().present().await;
        // It has room for the words of an error alone.
        let token = token.map_err(|error| Error::Custom(error.to_string()))?;
        let header = token.authorization().clone();
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(())
    }

    async fn exec(&self, request: Request, _: &OperationInfo) -> reqwest::Result<Response> {
        let sent = request.headers().get(AUTHORIZATION).cloned();
        // None of a body that is a stream.
        let again = request.try_clone();
        let answer = self.client().execute(request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(sent) = sent else { return Ok(answer) };
        // Asked for where the body is gone as well: the next request has it.
        let other = self.inner().other_than(&sent).await;
        let (Some(other), Some(mut again)) = (other, again) else {
            return Ok(answer);
        };
        let header = other.authorization().clone();
        again.headers_mut().insert(AUTHORIZATION, header);
        self.client().execute(again).await
    }
}
