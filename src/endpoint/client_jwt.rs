//! The JWT by which a client proves who it is: `private_key_jwt` and `client_secret_jwt`.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::endpoint::assertion::{AssertionContext, HeaderSettings, Occasion};
use crate::error::{Error, ErrorKind, HowFar};
use crate::secret::Secret;
use crate::signer::{Jws, Signer, certificates, hmac};

/// How long an assertion is good. Servers refuse those that are good for long.
const LIFETIME: Duration = Duration::from_secs(60);

const PRIVATE_KEY_JWT: &str = "private_key_jwt";
const CLIENT_SECRET_JWT: &str = "client_secret_jwt";

/// RFC 7523 section 3, OpenID Connect Core section 9.
#[derive(Serialize)]
struct Claims<'context> {
    iss: &'context str,
    sub: &'context str,
    aud: &'context str,
    jti: String,
    iat: u64,
    exp: u64,
}

fn begin(header: HeaderSettings, context: &AssertionContext) -> Result<Jws, Error> {
    let since_epoch = context.issued_at().duration_since(SystemTime::UNIX_EPOCH);
    let now = since_epoch.unwrap_or_default().as_secs();
    let claims = Claims {
        iss: context.client_id(),
        sub: context.client_id(),
        aud: context.audience(),
        jti: unheard_of()?,
        iat: now,
        exp: now + LIFETIME.as_secs(),
    };
    let claims = serde_json::to_vec(&claims)
        .map_err(|error| not_sent("the claims cannot be written").with_source(error))?;
    // It keeps an assertion from passing for another kind of JWT, and the other way round.
    let kind = if header.plain_type {
        "JWT"
    } else {
        "client-authentication+jwt"
    };
    Ok(Jws::new(claims).header("typ", kind))
}

/// With what tells the server which certificate the key has.
fn certify(header: HeaderSettings, mut jws: Jws, chain: &[Vec<u8>]) -> Result<Jws, Error> {
    let Some(own) = chain.first() else {
        return match header.of_certificates() {
            None => Ok(jws),
            Some(setting) => Err(settings(format!(
                "`{setting}` needs a key with its certificate, and this one has none"
            ))),
        };
    };
    jws = jws.header("x5t#S256", certificates::thumbprint(own));
    if header.sha1_thumbprint {
        jws = jws.header("x5t", certificates::sha1_thumbprint(own));
    }
    if header.certificate_chain {
        jws = jws.header("x5c", certificates::chain(chain));
    }
    Ok(jws)
}

/// An assertion by a private key.
pub(crate) async fn by_key(
    signer: &impl Signer,
    header: HeaderSettings,
    context: &AssertionContext,
    occasion: &Occasion<'_>,
) -> Result<Secret, Error> {
    let algorithm = signer.algorithm().as_str();
    occasion.check_listed(PRIVATE_KEY_JWT, algorithm)?;
    let jws = begin(header, context)?;
    let jws = certify(header, jws, signer.certificates())?;
    jws.sign(signer).await
}

/// An assertion by the client secret.
pub(crate) fn by_secret(
    secret: &Secret,
    header: HeaderSettings,
    context: &AssertionContext,
    occasion: &Occasion<'_>,
) -> Result<Secret, Error> {
    occasion.check_listed(CLIENT_SECRET_JWT, hmac::ALGORITHM)?;
    hmac::sign(begin(header, context)?, secret)
}

/// 128 random bits.
pub(crate) fn unheard_of() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        not_sent("the operating system gives no random numbers").with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn settings(message: String) -> Error {
    Error::settings(message).got(HowFar::NotSent)
}

fn not_sent(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message).got(HowFar::NotSent)
}
