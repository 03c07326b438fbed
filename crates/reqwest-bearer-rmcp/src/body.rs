//! Bodies that are read up to a limit.

use bytes::Bytes;
use futures_util::TryStreamExt;
use reqwest::Response;

/// What came of reading a body that has to be whole.
pub(crate) enum Whole {
    Body(Vec<u8>),
    TooLarge,
}

/// The whole body, or word that it is larger than `limit`: then no more of it is read.
///
/// # Errors
/// reqwest's, if the server cuts it off.
pub(crate) async fn whole(response: Response, limit: usize) -> Result<Whole, reqwest::Error> {
    let announced = response.content_length();
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
    {
        return Ok(Whole::TooLarge);
    }
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        if chunk.len() > limit - body.len() {
            return Ok(Whole::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Whole::Body(body))
}

/// The first `limit` bytes as a text for a person to read; what cannot be read is said to be so.
pub(crate) async fn beginning(response: Response, limit: usize) -> String {
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while body.len() < limit {
        match chunks.try_next().await {
            Ok(Some(chunk)) => body.extend_from_slice(shortened(&chunk, limit - body.len())),
            Ok(None) => break,
            Err(_) => return unreadable(limit),
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// What stands in the place of a body that the server has cut off.
pub(crate) fn unreadable(limit: usize) -> String {
    let text = "<failed to read response body>";
    text.chars().take(limit).collect()
}

/// No more than the first `limit` bytes.
pub(crate) fn shortened(bytes: &[u8], limit: usize) -> &[u8] {
    &bytes[..bytes.len().min(limit)]
}

/// The chunks of a body, as [`Bytes`].
pub(crate) fn chunks(
    response: Response,
) -> impl futures_util::Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static {
    response.bytes_stream()
}
