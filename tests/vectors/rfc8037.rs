//! RFC 8037 appendix A, as far as it is about signatures.

use reqwest_bearer::{Jws, PublicJwk, SigningKey};

const PRIVATE: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

const PUBLIC: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

const JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc\
    .hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

#[test]
fn rfc8037_a1_and_a2_the_public_key_of_a_private_one() {
    // H1
    let key = SigningKey::from_jwk(PRIVATE).unwrap();
    assert_eq!(key.public_jwk(), PublicJwk::from_jwk(PUBLIC).unwrap());
}

#[test]
fn rfc8037_a3_the_thumbprint() {
    // H1
    let thumbprint = PublicJwk::from_jwk(PUBLIC).unwrap().thumbprint();
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[tokio::test]
async fn rfc8037_a4_signing() {
    // H1
    let key = SigningKey::from_jwk(PRIVATE).unwrap();
    let jws = Jws::new("Example of Ed25519 signing").sign(&key).await;
    assert_eq!(jws.unwrap().expose(), JWS);
}
