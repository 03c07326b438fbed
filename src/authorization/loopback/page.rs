//! The small pages that a loopback receiver answers with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Takes the query out of the address bar and the history, where the code would stay to be read.
const SCRIPT: &str = "history.replaceState(null, '', location.pathname)";

/// One answer. None of them has a word of the request in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The redirect brought a code.
    Received,
    /// The redirect brought an error.
    Refused,
    /// Another redirect was faster.
    Again,
    /// It is no answer to the program's request.
    NotThisSignIn,
    NotTheUser,
    NotFound,
    WrongMethod {
        is_head: bool,
    },
    Unreadable,
    TooLarge,
}

impl Page {
    /// The whole answer.
    pub(super) fn answer(self) -> Vec<u8> {
        let (status, text) = self.says();
        let script = STANDARD.encode(Sha256::digest(SCRIPT));
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Sign-in</title>\
             <script>{SCRIPT}</script><p>{text}</p></html>\n"
        );
        let allow = match self {
            Self::WrongMethod { .. } => "Allow: GET\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {status}\r\n\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\n\
             {allow}\
             Cache-Control: no-store\r\n\
             Referrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; script-src 'sha256-{script}'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
             Connection: close\r\n\r\n",
            html.len()
        );
        let body = match self {
            Self::WrongMethod { is_head: true } => "",
            _ => &html,
        };
        [head.as_bytes(), body.as_bytes()].concat()
    }

    fn says(self) -> (&'static str, &'static str) {
        match self {
            Self::Received => (
                "200 OK",
                "The program has your sign-in. You may close this window.",
            ),
            Self::Refused => (
                "200 OK",
                "The sign-in did not succeed; the program says why. You may close this window.",
            ),
            Self::Again => (
                "200 OK",
                "The program has an answer already. You may close this window.",
            ),
            Self::NotThisSignIn => (
                "400 Bad Request",
                "This is not the sign-in that the program waits for. It waits on.",
            ),
            Self::NotTheUser => (
                "403 Forbidden",
                "Only the redirect of a sign-in is taken here.",
            ),
            Self::NotFound => ("404 Not Found", "There is nothing here."),
            Self::WrongMethod { .. } => (
                "405 Method Not Allowed",
                "Only the redirect of a sign-in is taken here.",
            ),
            Self::Unreadable => ("400 Bad Request", "This is no request of a browser."),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "This is more than any sign-in brings.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn each_page_is_one_whole_answer_that_leads_nowhere() {
        // I4
        for page in [
            Page::Received,
            Page::Refused,
            Page::Again,
            Page::NotThisSignIn,
            Page::NotTheUser,
            Page::NotFound,
            Page::WrongMethod { is_head: false },
            Page::Unreadable,
            Page::TooLarge,
        ] {
            let answer = String::from_utf8(page.answer()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(head.contains("Referrer-Policy: no-referrer\r\n"), "{head}");
            assert!(head.contains("Cache-Control: no-store\r\n"), "{head}");
            assert!(body.contains("history.replaceState"), "{body}");
            for other in ["href", "src=", "http:", "https:"] {
                assert!(!body.contains(other), "{body}");
            }
        }
        let head = Page::WrongMethod { is_head: true }.answer();
        assert!(head.ends_with(b"Connection: close\r\n\r\n"));
    }
}
