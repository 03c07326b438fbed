//! What a bound token needs by hand: a proof for each sending (RFC 9449 section 7).

use http::{HeaderMap, HeaderValue, Method};
use reqwest::Url;

use crate::access_token::AccessToken;
use crate::error::Error;

impl AccessToken {
    /// The value of the header `DPoP` for one request with this token, marked as sensitive: each sending
    /// needs one of its own. It has the newest nonce in it that the server of the URL has given. `None` for
    /// a bearer token.
    ///
    /// ```
    /// # async fn call(source: reqwest_bearer::TokenSource) -> Result<(), Box<dyn std::error::Error>> {
    /// use reqwest_bearer::reqwest::{Client, Method, Url, header};
    ///
    /// let token = source.token().await?;
    /// let url = Url::parse("https://api.example.com/orders/42")?;
    /// let mut request = Client::new().get(url.clone());
    /// request = request.header(header::AUTHORIZATION, token.authorization().clone());
    /// if let Some(proof) = token.dpop_proof(&Method::GET, &url).await? {
    ///     request = request.header("DPoP", proof);
    /// }
    /// let answer = request.send().await?;
    /// token.learn_dpop_nonce(&url, answer.headers());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the key cannot sign.
    pub async fn dpop_proof(
        &self,
        method: &Method,
        url: &Url,
    ) -> Result<Option<HeaderValue>, Error> {
        let Some(binding) = &self.0.binding else {
            return Ok(None);
        };
        let proof = binding.prove(method, url, None).await?;
        Ok(Some(proof.header))
    }

    /// Takes note of the nonce in an answer (`DPoP-Nonce`, RFC 9449 section 8.2), for the next proof that
    /// goes to the origin of this URL, whoever's it is. Without one, and for a bearer token, it does
    /// nothing.
    pub fn learn_dpop_nonce(&self, url: &Url, headers: &HeaderMap) {
        if let Some(binding) = &self.0.binding {
            binding.learn(url, headers);
        }
    }
}
