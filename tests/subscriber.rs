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

/// Tells the level of each event.
struct Levels(UnboundedSender<tracing::Level>);

impl<S: tracing::Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let _ = self.0.send(*event.metadata().level());
    }
}

#[tokio::test]
async fn a_token_request_that_succeeds_is_a_detail_and_one_that_fails_a_warning() {
    // D6: with a hundred thousand users the successes would be the log.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let (sender, mut levels) = unbounded_channel();
    let _here = tracing_subscriber::registry()
        .with(Levels(sender))
        .set_default();
    soon(source.token()).await.unwrap();
    assert_eq!(levels.try_recv(), Ok(tracing::Level::DEBUG));
    issuer.always(support::issuer::failure());
    clock.advance(std::time::Duration::from_secs(3600));
    soon(source.token()).await.unwrap_err();
    assert_eq!(levels.try_recv(), Ok(tracing::Level::WARN));
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
