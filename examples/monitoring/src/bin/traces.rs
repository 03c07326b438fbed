//! Prints the spans of a call whose token was revoked: `cargo run -p monitoring --bin traces`.

use std::error::Error;

use monitoring::{servers::Servers, traces};
use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use reqwest_bearer::{ClientAuthentication, ClientCredentials, TokenEndpoint, TokenSource};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a service stands the exporter for OTLP here, and a batch for each handful of spans.
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("orders"));
    let of_interest = tracing_subscriber::filter::filter_fn(|of| {
        ["traces", "monitoring", "reqwest_bearer", "reqwest_tracing"]
            .iter()
            .any(|target| of.target().starts_with(target))
    });
    tracing_subscriber::registry()
        .with(tracing_subscriber::Layer::with_filter(layer, of_interest))
        .init();

    let servers = Servers::start(600).await?;
    let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    let endpoint = TokenEndpoint::new(format!("{}/token", servers.url), client)?;
    let source = TokenSource::builder(ClientCredentials::new(endpoint)).build()?;
    let orders = traces::client(&servers.url, &source)?;

    orders.get("orders/41").send().await?;
    exporter.reset();
    servers.revoke_all();
    let work = async { orders.get("orders/42").send().await };
    work.instrument(tracing::info_span!("GET /basket")).await?;

    let spans = exporter.get_finished_spans()?;
    print(&spans, SpanId::INVALID, 0);
    Ok(())
}

/// The spans below this one, each in a line.
fn print(spans: &[SpanData], parent: SpanId, depth: usize) {
    let mut below: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_span_id == parent)
        .collect();
    below.sort_by_key(|span| span.start_time);
    for span in below {
        let shown = [
            "http.request.resend_count",
            "http.response.status_code",
            "reason",
        ];
        let attributes = span.attributes.iter();
        let attributes: String = attributes
            .filter(|attribute| shown.contains(&attribute.key.as_str()))
            .map(|attribute| format!("  {} = {}", attribute.key, attribute.value))
            .collect();
        println!(
            "{:indent$}{}{attributes}",
            "",
            span.name,
            indent = depth * 2
        );
        print(spans, span.span_context.span_id(), depth + 1);
    }
}
