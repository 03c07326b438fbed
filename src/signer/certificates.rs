//! The certificates of a key, by which some servers know it.

/// Whether the certificate may be of the key with these public bytes: it has them in it.
pub(crate) fn is_of_key(certificate: &[u8], public: &[u8]) -> bool {
    !public.is_empty()
        && certificate
            .windows(public.len())
            .any(|window| window == public)
}
