//! J1: the spans of a call whose token was revoked, with `reqwest-tracing` above our middleware, below it, and in
//! both places. One test, since a process has one subscriber that all threads ask.

#![expect(clippy::panic, reason = "a helper of a test may fail it")]

use monitoring::servers::Servers;
use monitoring::traces::EachSending;
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, NamedClient, TokenEndpoint, TokenSource,
};
use reqwest_tracing::{DefaultSpanBackend, TracingMiddleware};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

type Failure = Box<dyn std::error::Error>;

/// Where the middleware of `reqwest-tracing` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Above,
    Below,
    /// As `monitoring::traces` has it.
    Both,
}

fn client(order: Order, servers: &Servers) -> Result<NamedClient, Failure> {
    let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    let endpoint = TokenEndpoint::new(format!("{}/token", servers.url), client)?;
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    let builder = NamedClient::builder("orders", &servers.url, &source);
    Ok(match order {
        // As it is without any words of ours.
        Order::Above => builder
            .before(TracingMiddleware::<DefaultSpanBackend>::new())
            .build()?,
        Order::Below => builder
            .after(TracingMiddleware::<EachSending>::new())
            .build()?,
        Order::Both => monitoring::traces::client(&servers.url, &source)?,
    })
}

fn attribute<'span>(span: &'span SpanData, name: &str) -> Option<&'span Value> {
    let mut attributes = span.attributes.iter();
    let found = attributes.find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| &attribute.value)
}

/// Status and resend count, in order.
fn shown(spans: &[&SpanData]) -> Vec<(String, Option<i64>)> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.start_time);
    let shown = spans.iter().map(|span| {
        // A text, as `reqwest-tracing` records it.
        let status = attribute(span, "http.response.status_code");
        let status = status.map(ToString::to_string);
        let count = attribute(span, "http.request.resend_count");
        let count = count.map(|count| match count {
            Value::I64(count) => *count,
            other => panic!("the semantic conventions want a number: {other:?}"),
        });
        (status.unwrap_or_default(), count)
    });
    shown.collect()
}

#[tokio::test]
async fn a_resend_is_a_span_of_its_own_below_and_no_matter_above() -> Result<(), Failure> {
    // J1
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing_subscriber::registry().with(layer).init();

    for order in [Order::Above, Order::Below, Order::Both] {
        let servers = Servers::start(600).await?;
        let orders = client(order, &servers)?;
        orders.get("orders/41").send().await?;
        exporter.reset();
        servers.revoke_all();
        let work = async { orders.get("orders/42").send().await };
        let answer = work.instrument(tracing::info_span!("work")).await?;
        assert_eq!(answer.status(), 200);

        let spans = exporter.get_finished_spans()?;
        let work = spans.iter().find(|span| span.name == "work");
        let work = work.ok_or("the span of the work has ended")?;
        let id = work.span_context.span_id();
        let children_of = |id| -> Vec<&SpanData> {
            let children = spans.iter().filter(move |span| span.parent_span_id == id);
            children.collect()
        };
        let calls = children_of(id);
        let sendings = match order {
            // A call is one span, with the answer that the program sees.
            Order::Above => {
                assert_eq!(shown(&calls), [("200".to_owned(), None)]);
                Vec::new()
            }
            Order::Below => calls,
            Order::Both => {
                assert_eq!(shown(&calls), [("200".to_owned(), None)]);
                assert_eq!(calls[0].span_kind, SpanKind::Internal);
                children_of(calls[0].span_context.span_id())
            }
        };
        if order != Order::Above {
            let expected = [("401".to_owned(), None), ("200".to_owned(), Some(1))];
            assert_eq!(shown(&sendings), expected, "{order:?}");
            assert!(
                sendings
                    .iter()
                    .all(|span| span.span_kind == SpanKind::Client)
            );
        }
        // Each sending goes on in the API's own trace, below its own span.
        let trace = work.span_context.trace_id();
        let traced: Vec<_> = servers.traced().into_iter().skip(1).collect();
        let mut parents: Vec<_> = sendings
            .iter()
            .map(|span| Some(format!("00-{trace}-{}-01", span.span_context.span_id())))
            .collect();
        parents.sort();
        let mut seen = traced.clone();
        seen.sort();
        match order {
            Order::Above => assert_eq!(traced[0], traced[1], "both below the one of the call"),
            Order::Below | Order::Both => assert_eq!(seen, parents),
        }
        // The refresh serves all calls that wait for it, and is in the trace of none.
        let refresh = spans.iter().find(|span| span.name == "token_refresh");
        let refresh = refresh.ok_or("a refresh has a span")?;
        assert_ne!(refresh.span_context.trace_id(), trace);
        // No span has the token, which the middleware below could see.
        for span in &spans {
            assert!(!format!("{span:?}").contains("access-"), "{span:?}");
        }
    }
    Ok(())
}
