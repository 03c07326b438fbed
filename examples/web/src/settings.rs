//! The command line: nothing for the provider inside the example, or a real one.

use std::path::PathBuf;
use std::{env, fs};

use clap::{Parser, ValueEnum};
use reqwest::Url;

use crate::registration::{Registration, SecretPlace};

const AFTER_HELP: &str = "\
The client secret comes from --client-secret-file or from CLIENT_SECRET in the environment; without
either the client is a public one. The provider has to know the redirect URI, which is /signed-in
below the public URL: http://127.0.0.1:8080/signed-in if nothing else is said.

A real provider, whose URL is https:
  CLIENT_SECRET=... cargo run -p web --features rustls -- \\
    --issuer https://login.example.com/tenant --client-id my-client \\
    --api https://api.example.com/v1 --call orders/42 \\
    --scope 'openid profile offline_access orders:read'";

/// A web application that signs its users in and calls an API for them.
///
/// Without options it brings an OpenID provider and two APIs of its own, on this machine: open the
/// address that it prints, and sign in as anybody.
#[derive(Debug, Parser)]
#[command(name = "web", after_help = AFTER_HELP)]
pub(crate) struct Settings {
    /// Where to listen on 127.0.0.1; 0 takes a free port
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,

    /// Scheme and host by which browsers reach this application, if a proxy stands before it. With
    /// https, its cookie is for https alone [default: http://127.0.0.1:PORT]
    #[arg(long, value_name = "URL", value_parser = check_public_url)]
    pub(crate) public_url: Option<String>,

    /// The issuer of a real OpenID provider, letter for letter; a path belongs to it
    #[arg(long, value_name = "URL", requires_all = ["client_id", "api"], value_parser = check_url)]
    issuer: Option<String>,

    /// The client id that this provider has for the application
    #[arg(long, value_name = "ID", requires = "issuer")]
    client_id: Option<String>,

    /// A file with nothing but the client secret
    #[arg(long, value_name = "FILE", requires = "issuer")]
    client_secret_file: Option<PathBuf>,

    /// Where this provider wants the secret
    #[arg(long, value_enum, value_name = "PLACE", default_value = "header")]
    client_secret_in: PlaceOfSecret,

    /// The base URL of the API
    #[arg(long, value_name = "URL", requires = "issuer", value_parser = check_url)]
    api: Option<String>,

    /// What to GET below it
    #[arg(long, value_name = "PATH", default_value = "orders/42")]
    pub(crate) call: String,

    /// The scopes to ask for
    #[arg(long, value_name = "SCOPES", default_value = "openid offline_access")]
    scope: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlaceOfSecret {
    /// client_secret_basic
    Header,
    /// client_secret_post
    Form,
}

/// A provider and an API that are really there.
pub(crate) struct Servers {
    pub(crate) registration: Registration,
    pub(crate) api: String,
}

impl Settings {
    /// The real servers, if there are any in the settings.
    ///
    /// # Errors
    /// If the client secret cannot be read.
    pub(crate) fn real_servers(&self) -> Result<Option<Servers>, String> {
        let (Some(issuer), Some(client_id), Some(api)) = (&self.issuer, &self.client_id, &self.api)
        else {
            return Ok(None);
        };
        Ok(Some(Servers {
            registration: Registration {
                issuer: issuer.clone(),
                client_id: client_id.clone(),
                client_secret: self.client_secret()?,
                secret_place: match self.client_secret_in {
                    PlaceOfSecret::Header => SecretPlace::Header,
                    PlaceOfSecret::Form => SecretPlace::Form,
                },
                scope: self.scope.clone(),
            },
            api: api.clone(),
        }))
    }

    fn client_secret(&self) -> Result<Option<String>, String> {
        let Some(file) = &self.client_secret_file else {
            return Ok(env::var("CLIENT_SECRET").ok());
        };
        let secret = fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(format!("{} holds no secret", file.display()));
        }
        Ok(Some(secret.to_owned()))
    }
}

/// An https URL needs a feature, and without it the failure would come late and say little.
fn check_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let has_tls = cfg!(any(feature = "rustls", feature = "native-tls"));
    match url.scheme() {
        "https" if !has_tls => Err("https needs --features rustls before the --".to_owned()),
        "https" | "http" => Ok(text.to_owned()),
        _ => Err("it is no http or https URL".to_owned()),
    }
}

fn check_public_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("it is no http or https URL".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("scheme and host alone: the pages have to stand at the root".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::Parser as _;

    use super::Settings;

    fn parse(words: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from(["web"].iter().chain(words))
    }

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Settings::command().debug_assert();
    }

    #[test]
    fn a_real_provider_needs_its_client_id_and_an_api() {
        assert!(parse(&[]).unwrap().real_servers().unwrap().is_none());
        let issuer = ["--issuer", "http://127.0.0.1:9/tenant/a"];
        assert!(parse(&issuer).is_err());
        assert!(parse(&[&issuer[..], &["--client-id", "c"]].concat()).is_err());
        assert!(parse(&["--client-id", "c"]).is_err());
        let all = [
            &issuer[..],
            &["--client-id", "c", "--api", "http://127.0.0.1:9/v1"],
        ]
        .concat();
        let servers = parse(&all).unwrap().real_servers().unwrap().unwrap();
        // E7: an issuer is taken letter for letter, path and all.
        assert_eq!(servers.registration.issuer, "http://127.0.0.1:9/tenant/a");
    }

    #[test]
    fn a_url_that_cannot_be_served_is_refused_at_the_start() {
        for bad in [
            "app.example.com",
            "ftp://app.example.com",
            "https://app.example.com/base",
        ] {
            assert!(parse(&["--public-url", bad]).is_err(), "{bad}");
        }
        let settings = parse(&["--public-url", "https://app.example.com/"]).unwrap();
        assert_eq!(
            settings.public_url.as_deref(),
            Some("https://app.example.com")
        );
        let has_tls = cfg!(any(feature = "rustls", feature = "native-tls"));
        let words = [
            "--issuer",
            "https://a.example",
            "--client-id",
            "c",
            "--api",
            "http://b.example",
        ];
        assert_eq!(parse(&words).is_ok(), has_tls);
    }
}
