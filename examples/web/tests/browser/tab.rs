//! What a person does with a page: read it, click, type.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chromium::Chromium;

/// A tab of a browser, which keeps the text of every page that it was sent by the application.
pub(crate) struct Tab {
    browser: Chromium,
    /// Where the application is.
    home: String,
    pages: Vec<String>,
}

/// The session cookie, as the browser keeps it.
pub(crate) struct Cookie {
    pub(crate) value: String,
    pub(crate) is_http_only: bool,
    pub(crate) same_site: String,
    pub(crate) is_secure: bool,
}

impl Tab {
    /// An empty tab in a new browser, which runs no scripts of pages.
    pub(crate) async fn open(home: &str) -> Self {
        let mut browser = Chromium::start().await;
        let off = json!({ "value": true });
        browser
            .command("Emulation.setScriptExecutionDisabled", off)
            .await;
        Self {
            browser,
            home: home.to_owned(),
            pages: Vec::new(),
        }
    }

    /// Goes to a path of the application.
    pub(crate) async fn visit(&mut self, path: &str) {
        self.browser.forget_events();
        let url = format!("{}{path}", self.home);
        self.browser
            .command("Page.navigate", json!({ "url": url }))
            .await;
        self.arrive().await;
    }

    /// Clicks the link or button with this text, with the mouse, and waits for the next page.
    pub(crate) async fn click(&mut self, label: &str) {
        let place = self
            .evaluate(&format!(
                "(() => {{
                    const all = [...document.querySelectorAll('a, button')];
                    const found = all.find((element) => element.textContent.trim() === {});
                    if (!found) return null;
                    found.scrollIntoView({{ block: 'center' }});
                    const box = found.getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2];
                }})()",
                Value::from(label)
            ))
            .await;
        if place.is_null() {
            panic!("there is no {label:?} on the page:\n{}", self.text().await);
        }
        self.browser.forget_events();
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.browser
                .command("Input.dispatchMouseEvent", event)
                .await;
        }
        self.arrive().await;
    }

    /// Types into the field of this name.
    pub(crate) async fn type_into(&mut self, field: &str, text: &str) {
        let focus = format!("document.querySelector('[name={field}]').focus()");
        self.evaluate(&focus).await;
        self.browser
            .command("Input.insertText", json!({ "text": text }))
            .await;
    }

    /// What a person reads.
    pub(crate) async fn text(&mut self) -> String {
        self.string("document.body.innerText").await
    }

    /// Fails unless all of this can be read.
    pub(crate) async fn expect(&mut self, texts: &[&str]) {
        let page = self.text().await;
        for text in texts {
            assert!(page.contains(text), "{text:?} is not on the page:\n{page}");
        }
    }

    pub(crate) async fn url(&mut self) -> String {
        self.string("location.href").await
    }

    /// The session cookie of the application, if the browser has one.
    pub(crate) async fn session_cookie(&mut self) -> Option<Cookie> {
        let asked = json!({ "urls": [self.home] });
        let answer = self.browser.command("Network.getCookies", asked).await;
        let cookies = answer["cookies"].as_array().expect("a list");
        let cookie = cookies
            .iter()
            .find(|cookie| cookie["name"] == "web_session")?;
        let text = |name: &str| cookie[name].as_str().unwrap_or_default().to_owned();
        Some(Cookie {
            value: text("value"),
            is_http_only: cookie["httpOnly"] == true,
            same_site: text("sameSite"),
            is_secure: cookie["secure"] == true,
        })
    }

    /// Leaves a picture of the whole page for people to look at.
    pub(crate) async fn picture(&mut self, folder: &Path, name: &str) {
        let whole = json!({ "captureBeyondViewport": true });
        let picture = self.browser.command("Page.captureScreenshot", whole).await;
        let data = picture["data"].as_str().expect("base64");
        let bytes = STANDARD.decode(data).expect("base64");
        fs::write(folder.join(format!("{name}.png")), bytes).expect("the file can be written");
    }

    /// Every page that the application sent so far, as HTML.
    pub(crate) fn pages(&self) -> &[String] {
        &self.pages
    }

    /// Closes the browser.
    pub(crate) async fn close(self) {
        self.browser.close().await;
    }

    async fn arrive(&mut self) {
        self.browser.event("Page.loadEventFired").await;
        if self.url().await.starts_with(&self.home) {
            let page = self.string("document.documentElement.outerHTML").await;
            self.pages.push(page);
        }
    }

    async fn string(&mut self, expression: &str) -> String {
        let value = self.evaluate(expression).await;
        value.as_str().expect("a text").to_owned()
    }

    async fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.browser.command("Runtime.evaluate", asked).await;
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].take()
    }
}
