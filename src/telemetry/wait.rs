//! Something that is waited for: measured when the wait ends, however it ends.

use std::sync::Arc;

use crate::clock::{Clock, Moment};
use crate::error::ErrorKind;
use crate::telemetry::Telemetry;

/// A wait that has begun. If it is dropped, whoever waited has given up: without those the longest waits
/// would be the ones that nobody sees.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    telemetry: &'a Telemetry,
    clock: &'a Clock,
    began: Moment,
    awaited: Awaited<'a>,
    outcome: &'static str,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Awaited<'a> {
    /// A token, by a call of the named client, if it is one's.
    Token {
        #[cfg_attr(
            not(feature = "metrics"),
            expect(dead_code, reason = "only metrics are told of the client")
        )]
        client: Option<&'a Arc<str>>,
    },
    /// The end of another process's refresh.
    Lease,
}

impl<'a> Wait<'a> {
    pub(crate) fn begin(telemetry: &'a Telemetry, clock: &'a Clock, awaited: Awaited<'a>) -> Self {
        Self {
            telemetry,
            clock,
            began: clock.now(),
            awaited,
            outcome: "abandoned",
        }
    }

    /// It was worth it, or not: `None` if what was waited for has come.
    pub(crate) fn end(mut self, error: Option<ErrorKind>) {
        self.outcome = error.map_or("ok", ErrorKind::as_str);
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let waited = self.clock.now().waited_since(self.began);
        self.telemetry.waited(self.awaited, self.outcome, waited);
    }
}
