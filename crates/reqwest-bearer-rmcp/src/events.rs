//! Streams of server-sent events, none of whose events is larger than rmcp allows.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};

use crate::body::chunks;

/// What rmcp's transport reads.
pub(crate) type Events = BoxStream<'static, Result<Sse, SseError>>;

/// More places than this are forgotten at once; a client meets one or none.
const MOST_PLACES: usize = 64;

/// The events of an answer. After one that is too large the stream ends with an error, and `too_large` has
/// its place.
pub(crate) fn events(
    response: reqwest::Response,
    largest: usize,
    mut place: Place,
    too_large: TooLarge,
) -> Events {
    let bounded = bounded(chunks(response), largest);
    let events = SseStream::from_bytes_stream(Box::pin(bounded));
    events
        .inspect(move |event| match event {
            Ok(Sse { id: Some(id), .. }) => place.after = Some(id.clone()),
            Err(SseError::Body(error))
                if matches!(error.downcast_ref(), Some(Cut::TooLarge { .. })) =>
            {
                too_large.add(place.clone());
            }
            Ok(_) | Err(_) => {}
        })
        .boxed()
}

/// A place in a stream: after which event of which MCP session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) session: Option<Arc<str>>,
    pub(crate) after: Option<String>,
}

/// Where streams had an event that is too large.
///
/// rmcp opens a stream anew after an error, and knows the error that it must not do so for by a type that it
/// keeps to itself. The server would send the same event again, and so on without an end; so the second
/// stream at that place is not opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct TooLarge(Arc<Mutex<HashSet<Place>>>);

impl TooLarge {
    pub(crate) fn is_at(&self, place: &Place) -> bool {
        // Without an event's id the stream begins anew, at another event.
        place.after.is_some() && self.places().contains(place)
    }

    fn add(&self, place: Place) {
        let mut places = self.places();
        if places.len() >= MOST_PLACES {
            places.clear();
        }
        places.insert(place);
    }

    fn places(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a stream ends early.
#[derive(Debug)]
enum Cut {
    TooLarge { limit: usize },
    ByServer(reqwest::Error),
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => {
                write!(
                    formatter,
                    "SSE event exceeded the maximum size of {limit} bytes"
                )
            }
            Self::ByServer(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Cut {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::ByServer(error) => error.source(),
        }
    }
}

/// The chunks, up to the first that brings an event beyond `largest` bytes.
fn bounded(
    chunks: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
    largest: usize,
) -> impl Stream<Item = Result<Bytes, Cut>> + Send + 'static {
    let mut size = EventSize::default();
    chunks
        .map(move |chunk| {
            let chunk = chunk.map_err(Cut::ByServer)?;
            if size.largest_with(&chunk) > largest {
                return Err(Cut::TooLarge { limit: largest });
            }
            Ok(chunk)
        })
        .scan(false, |ended, chunk| {
            let item = (!*ended).then_some(chunk);
            *ended |= matches!(item, Some(Err(_)));
            std::future::ready(item)
        })
}

/// How large the present event is, in the bytes that the parser keeps of it: all of its lines so far, with
/// their ends. A comment is not kept, but counts while its line has not ended.
#[derive(Debug, Default)]
struct EventSize {
    lines: usize,
    line: usize,
    is_comment: bool,
    after_cr: bool,
}

impl EventSize {
    /// The largest size that an event has had at any byte of `chunk`.
    fn largest_with(&mut self, chunk: &[u8]) -> usize {
        let mut largest = 0;
        for &byte in chunk {
            let ends_crlf = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            if ends_crlf {
                continue;
            }
            match byte {
                b'\r' | b'\n' => self.end_line(),
                _ => {
                    self.is_comment |= self.line == 0 && byte == b':';
                    self.line += 1;
                }
            }
            largest = largest.max(self.lines + self.line);
        }
        largest
    }

    fn end_line(&mut self) {
        if self.line == 0 {
            self.lines = 0;
        } else if !self.is_comment {
            self.lines += self.line + 1;
        }
        self.line = 0;
        self.is_comment = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(chunks: &[&str]) -> usize {
        let mut size = EventSize::default();
        let sizes = chunks
            .iter()
            .map(|chunk| size.largest_with(chunk.as_bytes()));
        sizes.max().unwrap_or(0)
    }

    #[test]
    fn an_event_is_as_large_as_its_lines() {
        for (chunks, bytes) in [
            (&["data:12"][..], 7),
            (&["data:12\n"], 8),
            (&["data:1", "2\n"], 8),
            (&["data:12\n\ndata:1\n\n"], 8),
            (&["data:12\r\n\r\ndata:1\r\n\r\n"], 8),
            (&["data:12\r", "\n\r", "\ndata:1\r\n\r\n"], 8),
            (&["data:12\r\rdata:1\r\r"], 8),
            (&["data:1\ndata:2\n\n"], 14),
            (&[":12345\n\n"], 6),
            (&[":12345\ndata:1\n"], 7),
            (&["\n\n\n"], 0),
        ] {
            assert_eq!(largest(chunks), bytes, "{chunks:?}");
        }
    }
}
