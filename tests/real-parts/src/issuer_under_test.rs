//! What the same test asks of authorization servers that different people wrote.

use std::future::Future;

use reqwest_bearer::ErrorKind;

use crate::{Issuer, SignedIn};

/// An issuer, whoever wrote its server. What its constants say is where the servers differ and the standards let
/// them.
pub trait IssuerUnderTest {
    /// What users have to agree to, so that there is a refresh token and userinfo answers.
    const USER_SCOPE: &str;
    /// What an application has to ask for.
    const APPLICATION_SCOPE: &str;
    /// Whether the access tokens of a grant die when its refresh token is revoked (RFC 7009 section 2.1: may).
    const REVOCATION_ENDS_ACCESS_TOKENS: bool;
    /// What a code is refused with that comes with a proof of another key than its sign-in named.
    const STOLEN_CODE: ErrorKind;
    /// What a revoked refresh token is refused with.
    const REVOKED: ErrorKind;
    /// What an assertion is refused with that a key has signed which the server does not know.
    const UNKNOWN_KEY: (ErrorKind, Option<&str>);

    /// The issuer as its discovery document names it.
    fn url(&self) -> &str;

    /// Below this URL stands userinfo, a protected API that nobody here wrote.
    fn userinfo_base(&self) -> String;

    /// The path of userinfo below its base.
    fn userinfo_path(&self) -> &str;

    /// Signs `account` in at the client `client_id` and agrees to [`USER_SCOPE`](Self::USER_SCOPE); with
    /// `dpop_jkt` the code is worth nothing without the key of this thumbprint (RFC 9449 section 10).
    fn sign_in_at(
        &self,
        client_id: &str,
        account: &str,
        dpop_jkt: Option<&str>,
    ) -> impl Future<Output = SignedIn> + Send;
}

impl IssuerUnderTest for Issuer {
    const USER_SCOPE: &str = "openid offline_access email";
    const APPLICATION_SCOPE: &str = "api:read";
    const REVOCATION_ENDS_ACCESS_TOKENS: bool = true;
    const STOLEN_CODE: ErrorKind = ErrorKind::SignInRequired;
    const REVOKED: ErrorKind = ErrorKind::SignInRequired;
    const UNKNOWN_KEY: (ErrorKind, Option<&str>) = (ErrorKind::Rejected, Some("invalid_client"));

    fn url(&self) -> &str {
        self.url()
    }

    fn userinfo_base(&self) -> String {
        self.url().to_owned()
    }

    fn userinfo_path(&self) -> &str {
        "me"
    }

    async fn sign_in_at(&self, client_id: &str, account: &str, dpop_jkt: Option<&str>) -> SignedIn {
        match dpop_jkt {
            None => self.sign_in(client_id, account, Self::USER_SCOPE).await,
            Some(jkt) => {
                let signed_in = self.sign_in_bound(client_id, account, Self::USER_SCOPE, jkt);
                signed_in.await
            }
        }
    }
}
