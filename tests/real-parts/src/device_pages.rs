//! What a user does in a browser with the code of a device (RFC 8628 section 3.3), without a browser.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::Issuer;
use crate::sign_in::keep_cookies;

/// More hops than any page takes: the code, log in, resume, agree, resume.
const MOST_HOPS: usize = 12;

/// One browser at one server.
pub(crate) struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new(http: &Client) -> Self {
        Self {
            http: http.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// The page at the end of all redirects, and its URL.
    pub(crate) async fn get(&mut self, url: Url) -> (Url, String) {
        let request = self.http.get(url.clone());
        self.follow(url, request).await
    }

    /// The same after a form.
    pub(crate) async fn post(&mut self, url: Url, form: &[(&str, &str)]) -> (Url, String) {
        let request = self.http.post(url.clone()).form(form);
        self.follow(url, request).await
    }

    async fn follow(&mut self, mut url: Url, mut request: RequestBuilder) -> (Url, String) {
        for _ in 0..MOST_HOPS {
            let answer = self.send(request).await;
            let Some(location) = answer.headers().get(LOCATION) else {
                let status = answer.status();
                let page = answer.text().await.expect("a page");
                assert!(
                    status == StatusCode::OK || status == StatusCode::BAD_REQUEST,
                    "{url} was answered {status}: {page}"
                );
                return (url, page);
            };
            let location = location.to_str().expect("a URL is ASCII");
            url = url.join(location).expect("a redirect leads to a URL");
            request = self.http.get(url.clone());
        }
        panic!("no page within {MOST_HOPS} hops, but {url}");
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header(COOKIE, pairs.join("; "));
        let answer = request.send().await.expect("the server is up");
        keep_cookies(&mut self.cookies, &answer);
        answer
    }
}

/// The value of a hidden field.
pub(crate) fn hidden<'page>(page: &'page str, name: &str) -> &'page str {
    let begin = format!("name=\"{name}\" value=\"");
    let rest = page.split_once(&begin).map(|(_, rest)| rest);
    let rest = rest.unwrap_or_else(|| panic!("no field `{name}` in {page}"));
    rest.split('"').next().unwrap_or_default()
}

impl Issuer {
    /// Opens the page with the code in its URL, and agrees; or says no. The account is whoever the device's
    /// request named by `login_hint`.
    pub async fn answer_device(&self, page: &Url, agrees: bool) {
        let mut browser = Browser::new(&self.http);
        let (_, form) = browser.get(page.clone()).await;
        let mut action = page.clone();
        action.set_query(None);
        let (xsrf, user_code) = (hidden(&form, "xsrf"), hidden(&form, "user_code"));
        let button = if agrees { "confirm" } else { "abort" };
        let fields = [("xsrf", xsrf), ("user_code", user_code), (button, "yes")];
        let (_, said) = browser.post(action, &fields).await;
        let expected = if agrees { "successful" } else { "interrupted" };
        assert!(said.to_lowercase().contains(expected), "{said}");
    }
}
