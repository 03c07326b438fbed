//! A body that is recorded while it is sent, so that it can be sent once more.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::tower::BoxError;

/// As much is kept of a body. A call of gRPC with one message has less; what has more is a stream, or not worth
/// the memory.
const MOST_BYTES: usize = 64 * 1024;

/// In as many parts: each has a place of its own in memory, however little is in it, and a stream of small
/// messages may live for days.
const MOST_PARTS: usize = 1024;

/// A body that is recorded while it is sent: what
/// [`build_recording`](crate::BearerTokenLayerBuilder::build_recording) has wrapped into a body of the client's
/// own.
///
/// Up to 64 KiB are kept, in 1,024 parts at most, and let go with the request. What the body has ready is taken before the request is
/// sent, so that a message that is whole in memory can be had again from the start, however early the API
/// answers. A body that was not read to its end by then, or is longer, cannot.
pub struct RecordedBody<B> {
    record: Record,
    /// How many parts of the record have been sent.
    sent: usize,
    /// What is not recorded yet; `None` if there is no more to come.
    source: Option<Pin<Box<B>>>,
    /// An error of the body that came before the parts ahead of it were sent.
    failed: Option<BoxError>,
    /// How many bytes are still to be sent, where the body has told from the start.
    left: Option<u64>,
}

/// What has been recorded of one body.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<Parts>>);

struct Parts {
    parts: Vec<Part>,
    bytes: usize,
    extent: Extent,
}

#[derive(Clone)]
enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// More may come.
    Open,
    Whole,
    /// Longer than what is kept: a part is let go when it is sent.
    TooLong,
}

impl<B: Body<Error: Into<BoxError>>> RecordedBody<B> {
    /// Begins to record, with what the body has ready.
    pub(super) fn begin(body: B) -> (Self, Record) {
        let record = Record(Arc::new(Mutex::new(Parts {
            parts: Vec::new(),
            bytes: 0,
            extent: Extent::Open,
        })));
        let mut recorded = Self {
            record: record.clone(),
            sent: 0,
            left: body.size_hint().exact(),
            source: Some(Box::pin(body)),
            failed: None,
        };
        // The waker is of no use later on: who sends the body asks it again, with one of his own.
        let mut context = Context::from_waker(Waker::noop());
        while record.lock().extent == Extent::Open && recorded.record_one(&mut context).is_ready() {
        }
        (recorded, record)
    }

    /// Takes one more part from the body; pending if it has none ready.
    fn record_one(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(());
        };
        // Some bodies know their end without being asked for a part that does not come.
        let frame = if source.is_end_stream() {
            None
        } else {
            match source.as_mut().poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => frame,
            }
        };
        let mut parts = self.record.lock();
        match frame {
            Some(Ok(frame)) => parts.push(frame),
            Some(Err(error)) => {
                parts.extent = Extent::TooLong;
                self.failed = Some(error.into());
                self.source = None;
            }
            None => {
                if parts.extent == Extent::Open {
                    parts.extent = Extent::Whole;
                }
                self.source = None;
            }
        }
        Poll::Ready(())
    }

    /// The next part that is recorded and not yet sent.
    fn next_recorded(&mut self) -> Option<Part> {
        let mut parts = self.record.lock();
        let is_kept = parts.extent != Extent::TooLong;
        let next = parts.parts.get_mut(self.sent)?;
        self.sent += 1;
        if is_kept {
            return Some(next.clone());
        }
        let part = mem::replace(next, Part::Data(Bytes::new()));
        // A stream may live for days: of what nobody sends again not even the places are kept.
        if self.sent == parts.parts.len() {
            parts.parts.clear();
            self.sent = 0;
        }
        Some(part)
    }
}

impl Record {
    pub(super) fn is_whole(&self) -> bool {
        self.lock().extent == Extent::Whole
    }

    /// A body that sends what was recorded; `None` if that is not the whole.
    pub(super) fn play<B>(&self) -> Option<RecordedBody<B>> {
        let parts = self.lock();
        (parts.extent == Extent::Whole).then(|| RecordedBody {
            record: self.clone(),
            sent: 0,
            source: None,
            failed: None,
            left: u64::try_from(parts.bytes).ok(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        // Nothing in here can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn push(&mut self, frame: Frame<impl Buf>) {
        let part = match frame.into_data() {
            Ok(mut data) => Part::Data(data.copy_to_bytes(data.remaining())),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Part::Trailers(trailers),
                // There is no third kind yet, and one that comes cannot be recorded.
                Err(_) => {
                    self.extent = Extent::TooLong;
                    return;
                }
            },
        };
        if let Part::Data(data) = &part {
            self.bytes += data.len();
        }
        self.parts.push(part);
        if self.bytes > MOST_BYTES || self.parts.len() > MOST_PARTS {
            self.extent = Extent::TooLong;
        }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for RecordedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match self.next_recorded() {
                Some(Part::Data(data)) => {
                    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    self.left = self.left.map(|left| left.saturating_sub(length));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Part::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                None => {}
            }
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.source.is_none() {
                return Poll::Ready(None);
            }
            if self.record_one(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none()
            && self.failed.is_none()
            && self.record.lock().parts.len() == self.sent
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

// What is not `Unpin` in it is behind a pointer of its own.
impl<B> Unpin for RecordedBody<B> {}

impl<B> fmt::Debug for RecordedBody<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the content, which is the caller's.
        formatter
            .debug_struct("RecordedBody")
            .field("extent", &self.record.lock().extent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{FutureExt, stream};
    use http::HeaderMap;
    use http_body::{Body, Frame};
    use http_body_util::{BodyExt, StreamBody};

    use super::{MOST_BYTES, MOST_PARTS, RecordedBody};

    /// A body of so many parts of a kibibyte, and of trailers.
    fn body(parts: usize) -> impl Body<Data = Bytes, Error = Infallible> {
        body_of(parts, 1024)
    }

    fn body_of(parts: usize, bytes: usize) -> impl Body<Data = Bytes, Error = Infallible> {
        let data = (0..parts).map(move |_| Frame::data(Bytes::from(vec![b'x'; bytes])));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", http::HeaderValue::from_static("yes"));
        let frames = data.chain([Frame::trailers(trailers)]);
        StreamBody::new(stream::iter(frames.map(Ok).collect::<Vec<_>>()))
    }

    #[test]
    fn what_is_played_is_what_was_recorded_with_its_trailers() {
        // J2
        for parts in [0, 1, MOST_BYTES / 1024] {
            let (first, record) = RecordedBody::begin(body(parts));
            assert!(record.is_whole(), "{parts}");
            let again = [record.play().unwrap(), record.play().unwrap()];
            for sent in [first].into_iter().chain(again) {
                let sent = sent.collect().now_or_never().unwrap().unwrap();
                assert_eq!(sent.trailers().unwrap()["x-end"], "yes");
                assert_eq!(sent.to_bytes().len(), parts * 1024);
            }
        }
    }

    #[test]
    fn parts_take_room_however_little_is_in_them() {
        // J2
        // The trailers are a part as well.
        for (parts, is_whole) in [(MOST_PARTS - 1, true), (MOST_PARTS, false), (10_000, false)] {
            let (mut sent, record) = RecordedBody::begin(body_of(parts, 1));
            assert_eq!(record.is_whole(), is_whole, "{parts}");
            let mut frames = 0;
            while let Some(frame) = sent.frame().now_or_never().unwrap() {
                frame.unwrap();
                frames += 1;
                assert!(record.lock().parts.len() <= MOST_PARTS + 1);
            }
            assert_eq!(frames, parts + 1);
        }
    }

    #[test]
    fn of_a_stream_that_is_too_long_nothing_is_kept_that_was_sent() {
        // J2
        let parts = 10_000;
        let (mut sent, record) = RecordedBody::begin(body(parts));
        let mut bytes = 0;
        while let Some(frame) = sent.frame().now_or_never().unwrap() {
            bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
            assert!(record.lock().parts.len() <= MOST_BYTES / 1024 + 1);
        }
        assert_eq!(bytes, parts * 1024);
        assert!(!record.is_whole());
        assert!(record.play::<()>().is_none());
    }
}
