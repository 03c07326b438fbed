//! A program whose API clients are described in a file that the environment overrides.
//!
//! ```text
//! export LOGIN_SECRET=...
//! cargo run -p from_config                 # says which clients there are
//! cargo run -p from_config -- --call open  # calls this path of each (https: with --features rustls)
//! ```
//!
//! `CLIENTS=path/to/clients.toml` names another file.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use config::{Config, Environment, File};
use reqwest_bearer::{NamedClients, NamedClientsConfig};
use serde::Deserialize;

/// What the program is set up with: its clients, and whatever else it needs.
#[derive(Deserialize)]
struct Settings {
    apis: NamedClientsConfig,
}

fn settings() -> Result<Settings, config::ConfigError> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/clients.toml");
    let file = env::var("CLIENTS").unwrap_or_else(|_| shipped.to_owned());
    let environment = Environment::with_prefix("FROM_CONFIG").prefix_separator("__");
    Config::builder()
        .add_source(File::with_name(&file))
        .add_source(environment.separator("__"))
        .build()?
        .try_deserialize()
}

/// Everything that can be wrong with the configuration is found here, before the first call.
fn apis() -> Result<NamedClients, Box<dyn Error>> {
    Ok(settings()?.apis.below("apis").build()?)
}

async fn call(apis: &NamedClients, path: &str) -> Result<(), Box<dyn Error>> {
    apis.warm_up().await?; // a wrong secret ends the program here
    for client in apis.iter() {
        let status = client.get(path).send().await?.status();
        println!("{} {}: {status}", client.name(), client.url(path)?);
    }
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let apis = apis()?;
    match (env::args().nth(1).as_deref(), env::args().nth(2)) {
        (Some("--call"), Some(path)) => call(&apis, &path).await,
        (None, _) => {
            for client in apis.iter() {
                let (name, url, source) = (client.name(), client.base_url(), client.source());
                println!("{name} calls {url} with the tokens of `{}`", source.name());
            }
            Ok(())
        }
        _ => Err("usage: from_config [--call PATH]".into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
