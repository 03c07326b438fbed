//! What Prometheus asks for: the recorder, and the page that it reads.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// From 1 ms to 30 s, which is how long a call waits for a token at most.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Installs the recorder, before the first call.
///
/// # Errors
/// If there is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    // Without buckets they would be summaries, which nobody can add up over processes.
    let buckets = Matcher::Suffix("_duration_seconds".to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(buckets, &BUCKETS)?
        .install_recorder()?;
    reqwest_bearer::describe_metrics();
    Ok(handle)
}

/// Serves them at this port, or at a free one; returns the address.
///
/// # Errors
/// If the port is taken.
pub async fn serve(handle: PrometheusHandle, port: u16) -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?.to_string();
    let app = Router::new().route("/metrics", get(async move || handle.render()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
