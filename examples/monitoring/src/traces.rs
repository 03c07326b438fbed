//! One span for a call as the program sees it, and one for each time that it goes out.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_bearer::{Error, NamedClient, ResendCount, TokenSource};
use reqwest_tracing::{
    ReqwestOtelSpanBackend, TracingMiddleware, default_on_request_end, reqwest_otel_span,
};
use tracing::Span;
use tracing::field::Empty;

/// A client whose calls are traced: once above the bearer, waiting and healing included, and once below it,
/// for each sending.
///
/// # Errors
/// If the URL is none that a token may be sent to.
pub fn client(api: &str, source: &TokenSource) -> Result<NamedClient, Error> {
    NamedClient::builder("orders", api, source)
        .before(TracingMiddleware::<EachCall>::new())
        .after(TracingMiddleware::<EachSending>::new())
        .build()
}

/// The span of a call: internal, since it is no request by itself.
pub struct EachCall;

impl ReqwestOtelSpanBackend for EachCall {
    fn on_request_start(request: &Request, _: &mut Extensions) -> Span {
        tracing::info_span!(
            "call",
            otel.name = format!("call {}", request.url().host_str().unwrap_or_default()),
            otel.status_code = Empty,
            http.response.status_code = Empty,
            error.message = Empty,
            error.cause_chain = Empty,
        )
    }

    fn on_request_end(
        span: &Span,
        outcome: &reqwest_middleware::Result<Response>,
        _: &mut Extensions,
    ) {
        default_on_request_end(span, outcome);
    }
}

/// The span of a sending, as the semantic conventions for HTTP clients have it: a resend is one of its own, with
/// its number.
pub struct EachSending;

impl ReqwestOtelSpanBackend for EachSending {
    fn on_request_start(request: &Request, extensions: &mut Extensions) -> Span {
        let method = request.method().as_str();
        let count = extensions.get::<ResendCount>().map(|count| count.get());
        // Recorded only where there is one: a first sending has no such attribute.
        let span = reqwest_otel_span!(name = method, request, http.request.resend_count = Empty);
        if let Some(count) = count {
            // Signed: others become texts on their way to OpenTelemetry, and the conventions want a number.
            span.record("http.request.resend_count", i64::from(count));
        }
        span
    }

    fn on_request_end(
        span: &Span,
        outcome: &reqwest_middleware::Result<Response>,
        _: &mut Extensions,
    ) {
        default_on_request_end(span, outcome);
    }
}
