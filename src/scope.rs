//! Whether a server granted the scopes that it was asked for, in whatever words it says so.

/// What servers do not list among the scopes that they granted, or not by this name: OpenID Connect's
/// own two, and Entra's word for "all that was consented to".
fn is_never_listed(scope: &str) -> bool {
    let scope = scope.to_ascii_lowercase();
    scope == "openid" || scope == "offline_access" || scope.ends_with("/.default")
}

/// Those of the scopes `asked` for that are not among the `granted` ones, in the words of who asked.
///
/// RFC 6749 section 3.3 separates scopes by blanks. GitHub and others separate them by commas, some
/// write a JSON list, and some grant a scope by its long name or its short one: Google answers
/// `email` with `https://www.googleapis.com/auth/userinfo.email`, Entra
/// `https://graph.microsoft.com/User.Read` with `User.Read`.
pub(crate) fn missing<'asked>(asked: &'asked str, granted: &str) -> Vec<&'asked str> {
    let granted: Vec<String> = scopes(granted).map(str::to_ascii_lowercase).collect();
    let is_granted = |scope: &str| {
        let asked = scope.to_ascii_lowercase();
        granted.iter().any(|granted| is_same(&asked, granted))
    };
    scopes(asked)
        .filter(|scope| !is_never_listed(scope) && !is_granted(scope))
        .collect()
}

/// RFC 6749 has no quotes in a scope, so they can only be those of a list.
fn scopes(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| character.is_ascii_whitespace() || ",\"".contains(character))
        .filter(|scope| !["", "[", "]"].contains(scope))
}

fn is_same(one: &str, other: &str) -> bool {
    one == other || is_long_name(one, other) || is_long_name(other, one)
}

/// Whether `long` ends with `short` after a `/` or a `.`.
fn is_long_name(long: &str, short: &str) -> bool {
    long.strip_suffix(short)
        .is_some_and(|before| before.ends_with(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_scope_is_missing_only_if_it_was_granted_in_no_words() {
        // K7, E6
        for (asked, granted, lacking) in [
            ("repo gist", "repo,gist", ""),
            ("repo gist", "gist, repo", ""),
            ("repo,gist", "repo gist", ""),
            ("a b", r#"["a","b"]"#, ""),
            ("a b", r#"[ "a", "c" ]"#, "b"),
            ("Read", "READ", ""),
            (
                "email profile",
                "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile openid",
                "",
            ),
            ("https://graph.microsoft.com/User.Read", "User.Read", ""),
            (
                "https://graph.microsoft.com/Mail.Send",
                "User.Read",
                "https://graph.microsoft.com/Mail.Send",
            ),
            ("api://orders/read", "read", ""),
            ("openid offline_access OPENID", "", ""),
            ("https://graph.microsoft.com/.default", "User.Read", ""),
            ("read write", "read", "write"),
            ("read write", "", "read write"),
            ("write", "rewrite", "write"),
            ("read", "read:all", "read"),
            ("mail", "e-mail", "mail"),
            ("a  b\ta", "c", "a b a"),
            ("", "a", ""),
        ] {
            assert_eq!(
                missing(asked, granted).join(" "),
                lacking,
                "{asked} {granted}"
            );
        }
    }
}
