//! Header names that a request cannot give a meaning of its own.

use http::HeaderName;

/// What a proxy takes out before it passes a request on (RFC 9110 section 7.6.1).
const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What says how the request is framed and read.
const OF_THE_MESSAGE: [&str; 5] = [
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
];

/// What is wrong with a header that is to be added to a request, as a clause for a message.
pub(crate) fn fault(name: &HeaderName) -> Option<&'static str> {
    let is_among = |names: &[&str]| names.contains(&name.as_str());
    if is_among(&OF_THE_CONNECTION) {
        return Some(
            "belongs to one connection, so that the next proxy takes it out (RFC 9110 section 7.6.1)",
        );
    }
    is_among(&OF_THE_MESSAGE).then_some("says how the request itself is written")
}

#[cfg(test)]
mod tests {
    use super::{OF_THE_CONNECTION, OF_THE_MESSAGE, fault};
    use http::HeaderName;

    #[test]
    fn each_reserved_name_is_refused_and_no_other_is() {
        // K26
        let name = |name: &'static str| HeaderName::from_static(name);
        for reserved in OF_THE_CONNECTION.into_iter().chain(OF_THE_MESSAGE) {
            assert!(fault(&name(reserved)).is_some(), "{reserved}");
        }
        for free in [
            "authorization",
            "x-amz-access-token",
            "x-shopify-access-token",
        ] {
            assert!(fault(&name(free)).is_none(), "{free}");
        }
    }
}
