//! Private keys as JWK (RFC 7517).

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::signer::algorithm::SigningAlgorithm;
use crate::signer::der;
use crate::signer::pair::{Curve, Pair};

/// What a JWK says.
pub(crate) struct PrivateJwk {
    pub(crate) pair: Pair,
    pub(crate) algorithm: Option<SigningAlgorithm>,
    pub(crate) key_id: Option<String>,
}

type Text = Option<Zeroizing<String>>;

#[derive(Deserialize)]
struct Members {
    kty: Option<String>,
    keys: Option<serde::de::IgnoredAny>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Text,
    p: Text,
    q: Text,
    dp: Text,
    dq: Text,
    qi: Text,
    oth: Option<serde::de::IgnoredAny>,
}

/// # Errors
/// Without anything of the text in it.
pub(crate) fn parse(text: &str) -> Result<PrivateJwk, Error> {
    let members: Members = serde_json::from_str(text)
        .map_err(|_| fault("is cut off, or no JSON object with texts as its members"))?;
    if members.keys.is_some() && members.kty.is_none() {
        return Err(fault("is a set of keys; give one key of it"));
    }
    let key_type = members.kty.as_deref();
    if key_type == Some("oct") {
        return Err(fault(
            "is a secret, and no private key; a secret signs with `client_secret_jwt`",
        ));
    }
    let is_for_signing = members
        .purpose
        .as_deref()
        .is_none_or(|purpose| purpose == "sig")
        && members
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|operation| operation == "sign"));
    let pair = match key_type {
        Some("EC" | "OKP" | "RSA") if members.d.is_none() => {
            return Err(fault(
                "is a public key; give the private one, which has the member `d`",
            ));
        }
        // After that, since a public key is for verifying and says so.
        Some("EC" | "OKP" | "RSA") if !is_for_signing => {
            return Err(fault(
                "is for another use: its `use` is not `sig`, or its `key_ops` have no `sign`",
            ));
        }
        Some("EC") => ec(&members)?,
        Some("OKP") => ed25519(&members)?,
        Some("RSA") => rsa(&members)?,
        _ => {
            return Err(fault(
                "has a key type that is not ours; `kty` is `EC`, `OKP` or `RSA`",
            ));
        }
    };
    let algorithm = match members.alg.as_deref() {
        None => None,
        Some(name) => match SigningAlgorithm::of_name(name) {
            Some(algorithm) if pair.allows(algorithm) => Some(algorithm),
            _ => {
                return Err(fault(
                    "has an `alg` that is not ours, or that a key of its type cannot sign by",
                ));
            }
        },
    };
    Ok(PrivateJwk {
        pair,
        algorithm,
        key_id: members.kid,
    })
}

fn ec(members: &Members) -> Result<Pair, Error> {
    let curve = members.crv.as_deref().and_then(Curve::of_name);
    let curve =
        curve.ok_or_else(|| fault("is on a curve that is not ours; use `P-256` or `P-384`"))?;
    let (x, y) = (public(members.x.as_ref())?, public(members.y.as_ref())?);
    let point = [&[4], &x[..], &y[..]].concat();
    let private = private(&members.d)?;
    Pair::ec(
        curve,
        EcdsaKeyPair::from_private_key_and_public_key(curve.algorithm(), &private, &point),
    )
}

fn ed25519(members: &Members) -> Result<Pair, Error> {
    if members.crv.as_deref() != Some("Ed25519") {
        return Err(fault("is on a curve that is not ours; use `Ed25519`"));
    }
    let (seed, point) = (private(&members.d)?, public(members.x.as_ref())?);
    Pair::ed25519(Ed25519KeyPair::from_seed_and_public_key(&seed, &point))
}

fn rsa(members: &Members) -> Result<Pair, Error> {
    if members.oth.is_some() {
        return Err(fault("has more than two primes, which nobody signs with"));
    }
    let (n, e) = (public(members.n.as_ref())?, public(members.e.as_ref())?);
    let d = private(&members.d)?;
    let [p, q, dp, dq, qi] = [
        &members.p,
        &members.q,
        &members.dp,
        &members.dq,
        &members.qi,
    ]
    .map(private);
    // RSAPrivateKey, RFC 8017 appendix A.1.2; the version of two primes is 0.
    let der = der::sequence_of_integers(&[&[], &n, &e, &d, &p?, &q?, &dp?, &dq?, &qi?]);
    Pair::rsa(RsaKeyPair::from_der(&der))
}

fn public(text: Option<&String>) -> Result<Vec<u8>, Error> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(incomplete)
}

fn private(text: &Text) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = text.as_ref().ok_or_else(incomplete)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    URL_SAFE_NO_PAD
        .decode_vec(text.as_bytes(), &mut bytes)
        .map_err(|_| incomplete())?;
    Ok(bytes)
}

fn incomplete() -> Error {
    fault(
        "lacks a member that its type has (RFC 7518 section 6), or one is not base64url; an RSA key \
         has `n`, `e`, `d`, `p`, `q`, `dp`, `dq` and `qi`",
    )
}

fn fault(clause: &str) -> Error {
    Error::settings(format!("the JWK {clause}"))
}
