//! Which of the known words was meant by one that is none of them.

/// How like two words have to be, from 0 to 1, for one to be taken for a slip of the other: `evn` is for `env` (0.67),
/// and `secret` is not for `server` (0.50).
const LIKE: f64 = 0.60;

/// The nearest of the known words, in whatever case and with whatever dashes it was written.
pub(super) fn nearest<'known>(
    word: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let plain = |word: &str| {
        let letters = word.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let word = plain(word);
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&word, &plain(known));
    known
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_told_from_another_word() {
        // J3
        let known = [
            "issuer",
            "server",
            "base_url",
            "token_url",
            "scope",
            "client_secret",
        ];
        for (word, meant) in [
            ("sever", Some("server")),
            ("baseUrl", Some("base_url")),
            ("BASE-URL", Some("base_url")),
            ("base_uri", Some("base_url")),
            ("scopes", Some("scope")),
            ("client_secrets", Some("client_secret")),
            ("isuer", Some("issuer")),
            ("issure", Some("issuer")),
            ("secret", None),
            ("colour", None),
            ("", None),
            ("proxy", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
