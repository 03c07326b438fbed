//! Keys in the forms in which people have them, and what is none. The files are OpenSSL's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::SigningAlgorithm::{
    EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use reqwest_bearer::{Error, ErrorKind, Jws, PublicJwk, Signer, SigningAlgorithm, SigningKey};

use crate::{header, pem, verifies};

#[tokio::test]
async fn a_key_of_each_form_signs_by_each_algorithm_of_its_kind() {
    // H1, H2
    let rsa: &[SigningAlgorithm] = &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
    for (name, text, algorithms) in [
        ("P-256 in PKCS#8", pem!("p256_pkcs8"), &[Es256][..]),
        ("P-256 in SEC 1", pem!("p256_sec1"), &[Es256]),
        ("P-384 in SEC 1", pem!("p384_sec1"), &[Es384]),
        ("Ed25519", pem!("ed25519"), &[EdDsa]),
        ("RSA in PKCS#8", pem!("rsa_pkcs8"), rsa),
        ("RSA in PKCS#1", pem!("rsa_pkcs1"), rsa),
    ] {
        let key = SigningKey::from_pem(text).unwrap().with_key_id("7");
        assert_eq!(key.algorithm(), algorithms[0], "{name}");
        let read = PublicJwk::from_jwk(&key.public_jwk().to_value().to_string()).unwrap();
        assert_eq!(read.thumbprint(), key.public_jwk().thumbprint(), "{name}");
        let all = [
            Es256, Es384, EdDsa, Rs256, Rs384, Rs512, Ps256, Ps384, Ps512,
        ];
        for algorithm in all {
            let key = key.clone().with_algorithm(algorithm);
            assert_eq!(key.is_ok(), algorithms.contains(&algorithm), "{name}");
            let Ok(key) = key else { continue };
            let jws = Jws::new("{}").header("typ", "t").sign(&key).await.unwrap();
            let expected = serde_json::json!({"alg": algorithm.as_str(), "kid": "7", "typ": "t"});
            assert_eq!(header(jws.expose()), expected);
            assert!(verifies(jws.expose(), &key), "{name} by {algorithm}");
            assert!(!verifies(&jws.expose().replacen(".e", ".f", 1), &key));
        }
    }
}

#[tokio::test]
async fn a_generated_key_is_the_same_after_it_was_kept() {
    // H2
    for algorithm in [Es256, Es384, EdDsa, Ps256] {
        let key = SigningKey::generate(algorithm).unwrap();
        let other = SigningKey::generate(algorithm).unwrap();
        assert_ne!(key.public_jwk(), other.public_jwk());
        let kept = key.to_pem().unwrap();
        let again = SigningKey::from_pem(kept.expose()).unwrap();
        let again = again.with_algorithm(algorithm).unwrap();
        assert_eq!(
            again.public_jwk().thumbprint(),
            key.public_jwk().thumbprint()
        );
        let jws = Jws::new("{}").sign(&again).await.unwrap();
        assert!(verifies(jws.expose(), &key), "{algorithm}");
    }
}

#[tokio::test]
async fn a_jwk_brings_its_id_and_its_algorithm() {
    // H2
    let jwk = include_str!("keys/rsa.jwk.json");
    let key = SigningKey::from_jwk(jwk).unwrap();
    assert_eq!((key.key_id(), key.algorithm()), (Some("jwk-1"), Ps384));
    let jws = Jws::new("{}").sign(&key).await.unwrap();
    assert!(verifies(jws.expose(), &key));
    let pem = SigningKey::from_pem(pem!("rsa_pkcs8")).unwrap();
    assert_eq!(key.public_jwk(), pem.public_jwk());
}

#[test]
fn certificates_beside_the_key_are_its_own() {
    // H1
    let both = concat!(pem!("certificate"), pem!("rsa_pkcs8"));
    let key = SigningKey::from_pem(both).unwrap();
    assert_eq!(key.certificates().len(), 1);
    let apart = SigningKey::from_pem(pem!("rsa_pkcs8")).unwrap();
    assert!(apart.certificates().is_empty());
    let apart = apart.with_certificates(pem!("certificate")).unwrap();
    assert_eq!(apart.certificates(), key.certificates());
    let other = concat!(pem!("certificate"), pem!("p256_pkcs8"));
    says(SigningKey::from_pem(other), "of another key");
    let none = apart.with_certificates(pem!("public"));
    says(none, "has no certificate");
}

fn says(outcome: Result<SigningKey, Error>, expected: &str) {
    let error = outcome.expect_err(expected);
    assert_eq!(error.kind(), ErrorKind::Settings);
    let message = error.to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_pem_that_is_no_key_for_signing_says_what_it_is() {
    // H2, H8
    for (text, expected) in [
        (pem!("certificate"), "is a certificate"),
        (pem!("public"), "is a public key"),
        (pem!("encrypted_pkcs8"), "is encrypted"),
        (pem!("encrypted_pkcs1"), "is encrypted"),
        (pem!("openssh"), "form of OpenSSH"),
        (pem!("rsa_1024"), "fewer than the 2048 bits"),
        (pem!("secp256k1_sec1"), "a curve that is not ours"),
        (pem!("p521"), "a curve that is not ours"),
        (pem!("x25519"), "an algorithm that is not ours"),
        (pem!("rsa_pss"), "an algorithm that is not ours"),
        (
            concat!(pem!("ed25519"), pem!("p521")),
            "more than one private key",
        ),
        ("", "has no private key"),
        ("canary", "has no private key"),
    ] {
        says(SigningKey::from_pem(text), expected);
    }
}

#[test]
fn a_key_that_is_cut_off_anywhere_is_none_and_says_nothing_of_itself() {
    // H2, H8
    for text in [pem!("p256_pkcs8"), pem!("rsa_pkcs1"), pem!("ed25519")] {
        let text = text.trim_end();
        let secret = text.lines().nth(1).unwrap();
        for end in (0..text.len()).step_by(7) {
            let error = SigningKey::from_pem(&text[..end]).expect_err("cut off");
            assert!(!format!("{error} {error:?}").contains(secret));
        }
        // Whole lines are lost, and the last one is there.
        let lines: Vec<_> = text.lines().collect();
        for lost in 1..lines.len() - 1 {
            let mut kept = lines.clone();
            kept.remove(lost);
            let error = SigningKey::from_pem(kept.join("\n")).expect_err("a line is lost");
            assert_eq!(error.kind(), ErrorKind::Settings);
        }
    }
}

#[test]
fn a_jwk_that_is_no_key_for_signing_says_what_it_is() {
    // H2, H8
    let ec = |more: &str| {
        format!(
            r#"{{"kty":"EC","crv":"P-256",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"{more}}}"#
        )
    };
    let d = r#","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#;
    assert!(SigningKey::from_jwk(ec(d)).is_ok());
    let sig = format!(r#"{d},"use":"sig","key_ops":["sign"],"alg":"ES256""#);
    assert!(SigningKey::from_jwk(ec(&sig)).is_ok());
    let other_d = r#","d":"AAAQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#;
    for (text, expected) in [
        (ec(""), "is a public key"),
        (ec(&format!(r#"{d},"use":"enc""#)), "for another use"),
        (
            ec(&format!(r#"{d},"key_ops":["deriveKey"]"#)),
            "for another use",
        ),
        (ec(&format!(r#"{d},"alg":"ES384""#)), "`alg`"),
        (ec(&format!(r#"{d},"alg":"canary""#)), "`alg`"),
        (ec(d).replace("P-256", "P-521"), "a curve that is not ours"),
        (ec(d).replace("P-256", "P-384"), "is damaged"),
        (ec(other_d), "is damaged"),
        (ec(r#","d":"canary!""#), "not base64url"),
        (
            ec(d).replace("\"EC\"", "\"OKP\""),
            "a curve that is not ours",
        ),
        (ec(d).replace("\"EC\"", "\"RSA\""), "lacks a member"),
        (
            ec(d).replace("\"EC\"", "\"canary\""),
            "a key type that is not ours",
        ),
        (
            r#"{"kty":"oct","k":"canary"}"#.to_owned(),
            "client_secret_jwt",
        ),
        (r#"{"keys":[]}"#.to_owned(), "is a set of keys"),
        ("{}".to_owned(), "a key type that is not ours"),
        ("[]".to_owned(), "no JSON object"),
        (ec(d)[..80].to_owned(), "is cut off"),
    ] {
        let outcome = SigningKey::from_jwk(&text);
        assert!(!format!("{outcome:?}").contains("canary"));
        says(outcome, expected);
    }
}

#[tokio::test]
async fn a_signer_of_one_s_own_that_signs_in_der_is_told_so() {
    // H2
    struct Kms(SigningKey);

    impl Signer for Kms {
        fn algorithm(&self) -> SigningAlgorithm {
            Es256
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
            let signature = self.0.sign(message).await?;
            let mut der = vec![0x30, 70, 2, 33, 0];
            der.extend(&signature[..32]);
            der.extend([2, 33, 0]);
            der.extend(&signature[32..]);
            Ok(der)
        }
    }
    let kms = Kms(SigningKey::generate(Es256).unwrap());
    let error = Jws::new("{}").sign(&kms).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("signature_from_der"));
    let der = Signer::sign(&kms, b"text").await.unwrap();
    let signature = Es256.signature_from_der(&der).unwrap();
    assert_eq!(signature.len(), 64);
    let jws = format!("text.{}", URL_SAFE_NO_PAD.encode(signature));
    assert!(verifies(&jws, &kms.0));
}

#[test]
fn a_key_shows_its_algorithm_and_its_id_alone() {
    // H8
    let key = SigningKey::from_pem(pem!("p256_pkcs8"))
        .unwrap()
        .with_key_id("7");
    assert_eq!(
        format!("{key:?}"),
        r#"SigningKey { algorithm: Es256, key_id: Some("7"), .. }"#
    );
}
