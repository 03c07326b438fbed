//! A subscriber of `tracing` that looks back at the crate. A program of its own, as `silence.rs` is,
//! which says why.

mod support;

use reqwest_bearer::{RefreshTokenGrant, TestClock, TokenSource};
use support::authorization_server::{Answer, AuthorizationServer};
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

/// Tells message and level of each event.
struct Levels(UnboundedSender<(String, tracing::Level)>);

/// Reads the message of an event.
#[derive(Default)]
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let _ = self.0.send((message.0, *event.metadata().level()));
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
    assert_eq!(levels.try_recv().unwrap().1, tracing::Level::DEBUG);
    issuer.always(support::issuer::failure());
    clock.advance(std::time::Duration::from_secs(3600));
    soon(source.token()).await.unwrap_err();
    assert_eq!(levels.try_recv().unwrap().1, tracing::Level::WARN);
}

#[tokio::test]
async fn a_server_that_is_left_alone_is_a_warning_and_its_return_is_told() {
    // A8, J1
    let (clock, server) = (TestClock::new(), AuthorizationServer::start().await);
    let endpoint = server.endpoint();
    // A refresh token whose answer is lost is not sent again at once.
    let grant = || RefreshTokenGrant::new(endpoint.clone(), "refresh-0");
    let source = || {
        TokenSource::builder(grant())
            .clock(&clock)
            .jitter(0.0)
            .build()
    };
    let (sender, mut levels) = unbounded_channel();
    let _here = tracing_subscriber::registry()
        .with(Levels(sender))
        .set_default();
    let mut told = || -> Vec<_> {
        let levels = std::iter::from_fn(|| levels.try_recv().ok());
        // Without the token requests themselves.
        levels
            .filter(|(message, _)| message.contains("the authorization server is"))
            .collect()
    };
    server.always(Answer::Lost);
    for _ in 0..3 {
        assert_eq!(told(), []);
        soon(source().unwrap().token()).await.unwrap_err();
    }
    let opened = told();
    assert!(
        matches!(&opened[..], [(message, tracing::Level::WARN)] if message.contains("left alone"))
    );
    server.mend();
    clock.advance(std::time::Duration::from_secs(60));
    soon(source().unwrap().token()).await.unwrap();
    let closed = told();
    assert!(
        matches!(&closed[..], [(message, tracing::Level::INFO)] if message.contains("asked again"))
    );
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
