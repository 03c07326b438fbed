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

/// What reqwest sets, adds to or drops by rules of its own, and what proxies write.
const OF_OTHERS: [&str; 13] = [
    "accept",
    "accept-encoding",
    "cookie",
    "cookie2",
    "forwarded",
    "range",
    "referer",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
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

/// The same of a header that is to carry a token.
pub(crate) fn carrier_fault(name: &HeaderName) -> Option<&'static str> {
    let is_of_others = OF_OTHERS.contains(&name.as_str());
    fault(name).or(is_of_others.then_some(
        "has a meaning of its own to reqwest or to proxies, which add to it or replace it",
    ))
}

#[cfg(test)]
mod tests {
    use super::{OF_OTHERS, OF_THE_CONNECTION, OF_THE_MESSAGE, carrier_fault, fault};
    use http::HeaderName;

    #[test]
    fn each_reserved_name_is_refused_and_no_other_is() {
        // K26, K27
        let name = |name: &'static str| HeaderName::from_static(name);
        for reserved in OF_THE_CONNECTION.into_iter().chain(OF_THE_MESSAGE) {
            assert!(fault(&name(reserved)).is_some(), "{reserved}");
            assert!(carrier_fault(&name(reserved)).is_some(), "{reserved}");
        }
        for of_others in OF_OTHERS {
            assert!(fault(&name(of_others)).is_none(), "{of_others}");
            assert!(carrier_fault(&name(of_others)).is_some(), "{of_others}");
        }
        for free in [
            "authorization",
            "x-amz-access-token",
            "x-shopify-access-token",
        ] {
            assert!(carrier_fault(&name(free)).is_none(), "{free}");
        }
    }
}
