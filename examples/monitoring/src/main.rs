//! A program whose tokens are watched by Prometheus: it serves `/metrics`, and meets one trouble after the other.
//!
//! ```text
//! cargo run -p monitoring              # serves http://127.0.0.1:9464/metrics
//! cd examples/monitoring
//! prometheus --config.file=prometheus.yml --storage.tsdb.path=/tmp/tsdb \
//!     --web.console.templates=console --web.console.libraries=console
//! # then open http://127.0.0.1:9090/consoles/tokens.html
//! ```

use std::error::Error;

use monitoring::servers::Servers;
use monitoring::{dashboard, worker};

/// Short enough to see a few of them.
const TOKEN_LIFETIME: u32 = 5;
/// Where OpenTelemetry's exporters for Prometheus are by custom.
const PORT: u16 = 9464;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => PORT,
    };
    let handle = dashboard::install()?;
    let address = dashboard::serve(handle, port).await?;
    println!("serving http://{address}/metrics");
    let servers = Servers::start(TOKEN_LIFETIME).await?;
    tokio::select! {
        ended = worker::run(&servers) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
