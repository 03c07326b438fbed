//! J1: the example, read by a real Prometheus, with its alarms and its dashboard.
//!
//! A picture of the dashboard is left in `target/tmp/monitoring`. With `MONITORED_SECONDS=180` it is taken after
//! three minutes, as the one beside the example was.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what is missing or not as it should be is a failed test"
)]

#[path = "../../../web/tests/browser/chromium.rs"]
mod chromium;
mod processes;

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromium::Chromium;
use processes::{EXAMPLE, Example, Prometheus, promtool};
use serde_json::json;
use tokio::time::sleep;

/// A round of troubles is half a minute.
const LIMIT: Duration = Duration::from_secs(120);
/// How often is looked.
const PACE: Duration = Duration::from_millis(200);

/// What shows that something was measured at some time.
const SEEN: [&str; 8] = [
    "sum(reqwest_bearer_token_request_duration_seconds_count) > 0",
    "sum(reqwest_bearer_token_wait_duration_seconds_count) > 0",
    "sum(reqwest_bearer_tokens_refused_total) > 0",
    "sum(reqwest_bearer_refreshes_failed_total) > 0",
    "sum(reqwest_bearer_lease_wait_duration_seconds_count) > 0",
    "sum(reqwest_bearer_store_call_duration_seconds_count{outcome=\"store\"}) > 0",
    "max(max_over_time(reqwest_bearer_breakers_open[5m])) > 0",
    "max(max_over_time(reqwest_bearer_unsaved_refresh_tokens[5m])) > 0",
];

/// What is over again when the troubles are.
const MENDED: [&str; 2] = [
    "sum(reqwest_bearer_breakers_open) == 0",
    "sum(reqwest_bearer_unsaved_refresh_tokens) == 0",
];

#[tokio::test]
async fn prometheus_reads_the_rules_and_each_alarm_is_for_what_it_says() {
    // J1
    let (is_good, said) = promtool(["check", "rules", "alarms.yml"]).await;
    assert!(is_good && said.contains("9 rules found"), "{said}");
    let (is_good, said) = promtool(["test", "rules", "alarms.test.yml"]).await;
    assert!(is_good, "{said}");
}

#[test]
fn the_page_has_the_rules_of_the_file_and_the_test_of_the_rules_knows_each() {
    // J1
    let read = |name: &str| {
        let text = std::fs::read_to_string(Path::new(EXAMPLE).join(name));
        text.unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let page = read("../../docs/MONITORING.md");
    let of_page = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let rules = read("alarms.yml");
    let (_, of_file) = rules.split_once('\n').expect("a line that says what it is");
    assert_eq!(of_page, Some(of_file));
    let tests = read("alarms.test.yml");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        assert!(tests.contains(name), "no test raises {name}");
    }
}

/// Returns when all of these have a value.
async fn until_all(prometheus: &Prometheus, expressions: &[&str]) {
    let began = Instant::now();
    for expression in expressions {
        while prometheus.value(expression).await.is_none() {
            assert!(began.elapsed() < LIMIT, "still not so: {expression}");
            sleep(PACE).await;
        }
    }
}

#[tokio::test]
async fn a_real_prometheus_sees_everything_and_its_dashboard_shows_it() {
    // J1
    let example = Example::start().await;
    let prometheus = Prometheus::start(&example.address).await;
    let began = Instant::now();
    until_all(&prometheus, &SEEN).await;
    until_all(&prometheus, &MENDED).await;
    if let Ok(seconds) = std::env::var("MONITORED_SECONDS") {
        let seconds = seconds.parse().expect("MONITORED_SECONDS is a number");
        sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed())).await;
    }

    // No label names a user, a URL or a token.
    let of_ours = ("match[]", r#"{__name__=~"reqwest_bearer_.+"}"#);
    let series = prometheus.ask("/api/v1/series", of_ours).await;
    for series in series.as_array().expect("a list") {
        let labels = series.as_object().expect("labels");
        // Prometheus itself says where it has them from.
        let ours = labels.iter().filter(|(name, _)| *name != "instance");
        for (name, value) in ours {
            let value = value.as_str().expect("a text");
            for leak in ["session-", "refresh-", "access-", "127.0.0.1", "http:"] {
                assert!(!value.contains(leak), "{name}: {value}");
            }
        }
    }
    // All rules have been evaluated, and none in vain.
    let rules = prometheus.ask("/api/v1/rules", ("type", "alert")).await;
    let rules = rules["groups"][0]["rules"].as_array().expect("a list");
    assert_eq!(rules.len(), 9);
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");

    look_at_the_dashboard(&prometheus.at("/consoles/tokens.html?window=30s&seconds=180")).await;
}

/// Each of its graphs is drawn, and a picture of it is left.
async fn look_at_the_dashboard(url: &str) {
    let mut browser = Chromium::start().await;
    let size = json!({ "width": 1240, "height": 1300, "deviceScaleFactor": 1, "mobile": false });
    browser
        .command("Emulation.setDeviceMetricsOverride", size)
        .await;
    browser.forget_events();
    browser
        .command("Page.navigate", json!({ "url": url }))
        .await;
    browser.event("Page.loadEventFired").await;
    // Their data comes after the page.
    let empty = "[...document.querySelectorAll('.graphs div[id]')]
        .filter((graph) => !graph.querySelector('svg path')).map((graph) => graph.id).join()";
    let began = Instant::now();
    loop {
        let asked = json!({ "expression": empty, "returnByValue": true });
        let answer = browser.command("Runtime.evaluate", asked).await;
        let empty = answer["result"]["value"].as_str().expect("a text");
        if empty.is_empty() {
            break;
        }
        assert!(began.elapsed() < LIMIT, "nothing is drawn in {empty}");
        sleep(PACE).await;
    }
    let graphs = "document.querySelectorAll('.graphs div[id]').length";
    let asked = json!({ "expression": graphs, "returnByValue": true });
    let answer = browser.command("Runtime.evaluate", asked).await;
    assert_eq!(answer["result"]["value"], 8);
    let picture = browser.command("Page.captureScreenshot", json!({})).await;
    let bytes = STANDARD.decode(picture["data"].as_str().expect("base64"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("monitoring");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let file = folder.join("dashboard.png");
    std::fs::write(file, bytes.expect("base64")).expect("it can be written");
    browser.close().await;
}
