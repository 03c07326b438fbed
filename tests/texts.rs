//! Wherever a text or a secret is taken, a borrowed one will do: what `std::env::var` gave, a field of
//! the program's own settings, a secret that is needed once more.

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "what compiles with a borrow is the matter of these tests"
)]

use std::borrow::Cow;

use reqwest_bearer::{
    AuthorizationCode, BearerTokenMiddleware, ClientAuthentication, ClientCredentials,
    ConstantToken, EncryptionKeys, Error, FileStore, GrantFn, GrantRequest, NamedClient,
    NamedClients, RefreshTokenGrant, Secret, SecretSource, StoreKey, StoredRecord, Subject,
    TokenEndpoint, TokenFile, TokenKind, TokenOptions, TokenParameters, TokenRequest,
    TokenResponse, TokenSet, TokenSource, Version,
};
#[cfg(feature = "signing")]
use reqwest_bearer::{SigningAlgorithm, SigningKey, SigningKeyFile};

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_borrowed_string_will_do_for_the_endpoint() -> Result<(), Error> {
    // E4, K19
    let (id, secret, url) = (&text("me"), &text("s3cr3t"), &text("https://as.test/token"));
    for client in [
        ClientAuthentication::client_secret_basic(id, secret),
        ClientAuthentication::client_secret_basic_raw(id, secret),
        ClientAuthentication::client_secret_post(id, secret),
        ClientAuthentication::client_assertion(id, secret),
        ClientAuthentication::jwt_svid(id, secret),
        ClientAuthentication::none(id),
        ClientAuthentication::client_secret_basic(id, SecretSource::file(&text("/run/secret"))),
    ] {
        assert_eq!(client.client_id(), id);
        TokenEndpoint::new(url, client.clone())?;
        TokenEndpoint::discover(&text("https://as.test"), client.clone())?;
        TokenEndpoint::builder(client.clone())
            .token_url(url)
            .revocation_url(url)
            .build()?;
        TokenEndpoint::builder(client)
            .issuer(&text("https://as.test"))
            .build()?;
    }
    let _ = TokenRequest::new(&text("urn:x"))
        .field(&text("a"), &text("b"))
        .secret_field(&text("c"), &text("d"));
    Ok(())
}

#[test]
fn a_borrowed_string_will_do_for_a_grant_and_what_it_asks_for() -> Result<(), Error> {
    // E4, K19
    let text = &text("x");
    let client = ClientAuthentication::none(text);
    let endpoint = TokenEndpoint::new("https://as.test/token", client)?;
    let parameters = TokenParameters::new()
        .scope(text)
        .resource(text)
        .audience(text)
        .extra(text, text);
    let _ = TokenOptions::new()
        .scope(text)
        .resource(text)
        .audience(text)
        .extra(text, text);
    let _ = ClientCredentials::new(endpoint.clone())
        .scope(text)
        .resource(text)
        .audience(text)
        .parameters(parameters.clone());
    let _ = RefreshTokenGrant::new(endpoint, text).scope(text);
    let _ = AuthorizationCode::new(text)
        .redirect_uri(text)
        .code_verifier(text);
    let _ = (ConstantToken::new(text)?, TokenFile::new(text));
    let grant = || {
        GrantFn::new(text, |_| async {
            Err(Error::unavailable(&self::text("down")))
        })
    };
    let _ = GrantFn::new(text, |_| async { Err(Error::protocol(&self::text("odd"))) });
    let _ = GrantRequest::new(parameters, Some(text.into()));
    let _ = TokenResponse::bearer(text)
        .with_refresh_token(text)
        .with_scope(text)
        .with_member(text, 1);
    let set = TokenSet::new(text)
        .with_refresh_token(text)
        .with_id_token(text)
        .with_scope(text);
    assert!(set.member(text).is_none());
    let _ = TokenSet::from_refresh_token(text);
    let _ = [
        Error::rejected(text),
        Error::sign_in_required(text),
        Error::store(text),
    ];
    let source = TokenSource::builder(grant()).name(text).build()?;
    assert_eq!(source.name(), text);
    Ok(())
}

#[test]
fn a_borrowed_string_will_do_for_a_client_and_a_store() -> Result<(), Error> {
    // K19
    let (name, origin) = (&text("orders"), &text("https://api.test"));
    let token = || ConstantToken::new(&text("t"));
    BearerTokenMiddleware::for_origin(origin, token()?)?;
    BearerTokenMiddleware::builder(token()?)
        .origin(origin)
        .build()?;
    let client = NamedClient::builder(name, origin, token()?)
        .origin(origin)
        .build()?;
    let path = &text("x");
    client.url(path)?;
    let _ = [client.get(path), client.post(path), client.put(path)];
    let _ = [client.patch(path), client.delete(path), client.head(path)];
    let _ = client.request(reqwest::Method::GET, path);
    NamedClients::new([NamedClient::new(name, origin, token()?)?])?.get(name)?;
    let subject = Subject::new(name)?;
    assert_eq!(subject.as_str(), name);
    assert_eq!(StoreKey::of([name]), StoreKey::of(["orders"]));
    let _ = StoredRecord::unreadable(Version::random()?, &text("torn"));
    EncryptionKeys::new(name, &[0; 32])?.with_older(&text("older"), &[1; 32])?;
    let folder = std::env::temp_dir().join("reqwest-bearer-texts.json");
    FileStore::new(&folder.display().to_string())?;
    #[cfg(feature = "redis")]
    reqwest_bearer::RedisStore::builder(
        &text("redis://localhost"),
        reqwest_bearer::Protection::plain_text(),
    )
    .key_prefix(&text("mine:"))
    .build()?;
    Ok(())
}

#[test]
fn a_secret_is_made_of_every_kind_of_text_and_of_a_borrowed_secret() {
    // D6, K19
    let secret = Secret::new("s");
    let owned = text("s");
    for made in [
        Secret::from("s"),
        Secret::from(&owned),
        Secret::from(owned.clone()),
        Secret::from(owned.clone().into_boxed_str()),
        Secret::from(Cow::Borrowed("s")),
        Secret::from(&secret),
        Secret::new(&owned),
    ] {
        assert_eq!(made, secret);
    }
    for source in [
        SecretSource::from("s"),
        SecretSource::from(&owned),
        SecretSource::from(owned.clone()),
        SecretSource::from(owned.clone().into_boxed_str()),
        SecretSource::from(Cow::Borrowed("s")),
        SecretSource::from(&secret),
        SecretSource::from(secret.clone()),
    ] {
        assert_eq!(format!("{source:?}"), "[secret]");
    }
}

#[test]
fn a_token_to_be_revoked_is_a_text_or_a_secret() -> Result<(), Error> {
    // F10, K19
    let client = ClientAuthentication::none("me");
    let endpoint = TokenEndpoint::new("https://as.test/token", client)?;
    // Nothing is sent, since nobody awaits them.
    drop(endpoint.revoke(&text("t"), TokenKind::AccessToken));
    drop(endpoint.revoke(&Secret::new("t"), TokenKind::RefreshToken));
    drop(endpoint.revoke("t", TokenKind::RefreshToken));
    Ok(())
}

#[cfg(feature = "signing")]
#[test]
fn a_borrowed_string_will_do_for_keys() -> Result<(), Error> {
    // H1, H2, K19
    let (id, secret, url) = (
        &text("me"),
        &text(&"s".repeat(32)),
        &text("https://as.test"),
    );
    let key = SigningKey::generate(SigningAlgorithm::Es256)?.with_key_id(id);
    let pem = &text(key.to_pem()?.expose());
    let file = SigningKeyFile::new(id).certificates(id).key_id(id);
    for client in [
        ClientAuthentication::client_secret_jwt(id, secret),
        ClientAuthentication::private_key_jwt(id, SigningKey::from_pem(pem)?),
        ClientAuthentication::private_key_jwt(id, file).assertion_audience(url),
    ] {
        TokenEndpoint::discover(url, client)?;
    }
    Ok(())
}
