//! Texts of PEM with a certificate and its private key.

use std::sync::Arc;

use reqwest::Identity;
use rustls::InconsistentKeys;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::error::{Error, HowFar};
use crate::signer::files::Texts;
use crate::signer::pem::{self, Block, CERTIFICATE, PKCS1, PKCS8, SEC1};

/// What reqwest presents, once it is known that rustls takes it.
///
/// # Errors
/// What is wrong with the texts, without any of them.
pub(crate) fn identity(texts: &Texts) -> Result<Identity, Error> {
    let blocks = |text| pem::blocks(text).map_err(|fault| wrong(fault.as_clause()));
    let beside_key = blocks(&texts.key)?;
    let certificates = match &texts.certificates {
        Some(text) => &blocks(text)?,
        None => &beside_key,
    };
    let mut keys = beside_key
        .iter()
        .filter(|block| [PKCS8, SEC1, PKCS1].contains(&block.label));
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key,
        (Some(_), Some(_)) => return Err(wrong("has more than one private key in it")),
        (None, _) => return Err(wrong(pem::without_key(&beside_key))),
    };
    let chain: Vec<_> = certificates
        .iter()
        .filter(|block| block.label == CERTIFICATE)
        .collect();
    if chain.is_empty() {
        return Err(wrong("has no certificate in it"));
    }
    check(&chain, key)?;
    let mut text = Zeroizing::new(String::new());
    for block in chain.into_iter().chain([key]) {
        text.push_str(&pem::write(block.label, &block.der));
    }
    Identity::from_pem(text.as_bytes())
        .map_err(|error| wrong("cannot be used by reqwest").with_source(error.without_url()))
}

/// Whether rustls can sign with the key, and the first certificate is of it.
fn check(chain: &[&Block<'_>], key: &Block<'_>) -> Result<(), Error> {
    let chain = chain.iter();
    let chain = chain.map(|block| CertificateDer::from(block.der.to_vec()));
    let key = PrivateKeyDer::try_from(key.der.to_vec())
        .map_err(|_| wrong("has a private key that is damaged or cut off"))?;
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    match CertifiedKey::from_der(chain.collect(), key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(wrong(
            "has a first certificate that is of another key; put that of the private key first",
        )),
        Err(error) => Err(wrong("cannot be used for TLS").with_source(error)),
    }
}

fn wrong(clause: &str) -> Error {
    Error::settings(format!("the PEM of the client certificate {clause}")).got(HowFar::NotSent)
}
