//! How the bodies of a layer's requests are had again.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::tower::recorded::{Record, RecordedBody};

/// What the program has said when it built the layer. Functions, so that the type of a layer needs to name
/// the body alone.
pub(super) enum Bodies<B> {
    Replayed(fn(&B) -> Option<B>),
    Recorded(Recording<B>),
    SentOnce,
}

/// How a body is recorded, and one of the client's type made of what was.
pub(super) struct Recording<B> {
    // A function too, so that a service need not say of its bodies what this one needs.
    pub(super) begin: fn(B) -> (RecordedBody<B>, Record),
    pub(super) wrap: fn(RecordedBody<B>) -> B,
}

/// How the body of one request is had again.
pub(super) enum Again<B> {
    Replayed(fn(&B) -> Option<B>),
    Recorded(Record, Recording<B>),
    Never,
}

/// A body that is to be had again, while another one like it is away.
pub(super) enum KeptBody<B> {
    // Bodies need not be `Sync`, and a request that waits has to be.
    Whole(Mutex<B>, fn(&B) -> Option<B>),
    Recorded(Record, Recording<B>),
}

impl<B> Bodies<B> {
    /// What is sent in the place of this body, and how that is had again.
    pub(super) fn begin(self, body: B) -> (B, Again<B>) {
        match self {
            Self::Replayed(replay) => (body, Again::Replayed(replay)),
            Self::Recorded(recording) => {
                let (body, record) = (recording.begin)(body);
                ((recording.wrap)(body), Again::Recorded(record, recording))
            }
            Self::SentOnce => (body, Again::Never),
        }
    }
}

impl<B> Again<B> {
    /// Keeps what a second sending of this body needs, if there may be one.
    pub(super) fn keep(&self, body: &B) -> Option<KeptBody<B>> {
        match self {
            Self::Replayed(replay) => {
                replay(body).map(|copy| KeptBody::Whole(Mutex::new(copy), *replay))
            }
            Self::Recorded(record, recording) => {
                Some(KeptBody::Recorded(record.clone(), *recording))
            }
            Self::Never => None,
        }
    }
}

impl<B> KeptBody<B> {
    /// Whether it is known by now that it can be had.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Whole(..) => true,
            Self::Recorded(record, _) => record.is_whole(),
        }
    }

    /// The body once more, from its beginning, and how it is had after that.
    pub(super) fn again(&self) -> Option<(B, Again<B>)> {
        match self {
            Self::Whole(body, replay) => {
                let body = body.lock().unwrap_or_else(PoisonError::into_inner);
                replay(&body).map(|copy| (copy, Again::Replayed(*replay)))
            }
            Self::Recorded(record, recording) => {
                let again = Again::Recorded(record.clone(), *recording);
                let body = record.play()?;
                Some(((recording.wrap)(body), again))
            }
        }
    }
}

impl<B> Clone for Bodies<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Bodies<B> {}

impl<B> Clone for Recording<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Recording<B> {}

impl<B> fmt::Debug for Bodies<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Replayed(_) => "Replayed",
            Self::Recorded(_) => "Recorded",
            Self::SentOnce => "SentOnce",
        })
    }
}
