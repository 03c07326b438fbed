//! A subscriber of `tracing` that looks back at the crate. A program of its own, as `silence.rs` is,
//! which says why.

mod support;

use reqwest_bearer::{TestClock, TokenSource};
use support::issuer::Issuer;
use support::soon;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Looks at a source whenever a span begins, and tells.
struct Onlooker(TokenSource, UnboundedSender<bool>);

impl<S: tracing::Subscriber> Layer<S> for Onlooker {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let _ = self.1.send(self.0.status().is_refreshing());
    }
}

#[tokio::test]
async fn a_subscriber_that_looks_at_the_source_locks_nobody_out() {
    // A4
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let (sender, mut looks) = unbounded_channel();
    let onlooker = tracing_subscriber::registry().with(Onlooker(source.clone(), sender));
    let _here = onlooker.set_default();
    let token = soon(source.token()).await;
    assert_eq!(token.unwrap().expose(), "token-1");
    assert_eq!(soon(looks.recv()).await, Some(true));
}
