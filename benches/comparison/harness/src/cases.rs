//! The situations, each the same for every library.

use std::time::Duration;

use serde_json::json;

use crate::adapter::{Adapter, Outcome, SAID, outcomes};
use crate::libraries::Library;
use crate::script::{RefreshTokens, SECRET_PART, Script, State, TokenAnswer, refresh_token_text};

/// How long the token endpoint takes, where that matters.
const ANSWER: Duration = Duration::from_millis(50);
/// Until something that will not happen is taken as that.
const NOTHING_MORE: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(20);
/// Longer than a token of 1 s lives for libraries that count in whole seconds.
const EXPIRED: Duration = Duration::from_millis(2_100);

/// What stands in a cell where the library has nothing of the kind.
pub const NONE: &str = "-";

/// What stands in the table's cell.
pub async fn measure(case: &str, library: &Library) -> String {
    let mut adapter = Adapter::start(&library.command());
    let adapter_ref = &mut adapter;
    let cell = match case {
        "expired" => expired(adapter_ref).await,
        "failing" => failing(adapter_ref).await,
        "hiccup" => hiccup(adapter_ref).await,
        "early" => early(adapter_ref, library).await,
        "dropped" => dropped(adapter_ref).await,
        "late" => late(adapter_ref).await,
        "resend" => resend(adapter_ref).await,
        "always" => always(adapter_ref).await,
        "redirect" => redirect(adapter_ref).await,
        "debug" => debug(adapter_ref).await,
        "errors" => errors(adapter_ref).await,
        "rotating" => refreshed(adapter_ref, RefreshTokens::Rotating).await,
        "not-repeated" => refreshed(adapter_ref, RefreshTokens::NotRepeated).await,
        other => panic!("no such case: {other}"),
    };
    adapter.end().await;
    cell
}

/// A client that has its first token.
async fn warm(adapter: &mut Adapter, state: State) -> Script {
    let script = Script::start(state).await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    let first = adapter.call(1).await;
    assert!(first[0].is_ok(), "the first call: {:?}", first[0]);
    script
}

/// 1,000 calls find that the token has expired, and the API says so as well.
async fn expired(adapter: &mut Adapter) -> String {
    let expires_in = 1;
    let script = warm(
        adapter,
        State {
            expires_in,
            ..State::default()
        },
    )
    .await;
    tokio::time::sleep(EXPIRED).await;
    script.set(|state| {
        state.expires_in = 3600;
        state.delay = ANSWER;
        state.refused_up_to = state.newest;
    });
    let before = script.now().token_requests;
    let outcomes = adapter.call(1_000).await;
    let requests = script.now().token_requests - before;
    with_failures(requests.to_string(), &outcomes)
}

/// 50 calls wait at a token endpoint that fails, and then come 20 more.
async fn failing(adapter: &mut Adapter) -> String {
    let state = State {
        answer: TokenAnswer::Unavailable,
        delay: ANSWER,
        ..State::default()
    };
    let script = Script::start(state).await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    let outcomes = adapter.call(50).await;
    let requests = script.now().token_requests;
    let longest = outcomes.iter().map(|outcome| outcome.waited).max();
    let answers = longest.expect("there are 50").as_secs_f64() / ANSWER.as_secs_f64();
    adapter.call_in_turn(20).await;
    let more = script.now().token_requests - requests;
    format!("{requests}, {answers:.0}, {more}")
}

/// 50 calls wait at a token endpoint that fails once.
async fn hiccup(adapter: &mut Adapter) -> String {
    let script = Script::start(State {
        hiccups: 1,
        delay: ANSWER,
        ..State::default()
    })
    .await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    let outcomes = adapter.call(50).await;
    let failed = outcomes.iter().filter(|outcome| !outcome.is_ok());
    failed.count().to_string()
}

/// 20 calls in turn while the token is good, a refresh would be due, and the token endpoint fails.
async fn early(adapter: &mut Adapter, library: &Library) -> String {
    let expires_in = library.early.expires_in;
    let script = warm(
        adapter,
        State {
            expires_in,
            ..State::default()
        },
    )
    .await;
    script.set(|state| state.answer = TokenAnswer::Unavailable);
    tokio::time::sleep(library.early.wait).await;
    let before = script.now().token_requests;
    let outcomes = adapter.call_in_turn(20).await;
    // Refreshes that go on behind the calls.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let requests = script.now().token_requests - before;
    let failed = outcomes.iter().filter(|outcome| !outcome.is_ok()).count();
    format!("{failed}, {requests}")
}

/// The one caller goes away after the server has taken its token request.
async fn dropped(adapter: &mut Adapter) -> String {
    let keeps_answers = true;
    let script = Script::start(State {
        keeps_answers,
        ..State::default()
    })
    .await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    adapter.ask(json!({"do": "start"})).await;
    let asked = script
        .came_to(LIMIT, |state| state.token_requests > 0)
        .await;
    assert!(asked, "the call asks for a token");
    if adapter.ask(json!({"do": "drop"})).await["dropped"] != true {
        return NONE.to_owned();
    }
    script.set(|state| state.keeps_answers = false);
    tokio::time::sleep(NOTHING_MORE).await;
    let next = adapter.call(1).await;
    assert!(next[0].is_ok(), "the next call: {:?}", next[0]);
    match script.now().token_requests {
        1 => "kept".to_owned(),
        _ => "lost".to_owned(),
    }
}

/// 20 calls are under way with one token when it is revoked; their 401s come one after the other.
async fn late(adapter: &mut Adapter) -> String {
    let script = warm(adapter, State::default()).await;
    let old = script.now().newest;
    script.set(|state| {
        state.kept = Some(old);
        state.refused_up_to = old;
    });
    let before = script.now().token_requests;
    adapter.send(json!({"do": "call", "count": 20})).await;
    let all = script.came_to(LIMIT, |state| state.arrived == 20).await;
    assert!(all, "20 calls with one token");
    let healed = |state: &State| {
        state
            .answered
            .iter()
            .filter(|call| call.token > old)
            .count()
    };
    for place in 1..=20 {
        let so_far = healed(&script.now());
        script.set(|state| state.released = place);
        script
            .came_to(NOTHING_MORE, |state| healed(state) > so_far)
            .await;
    }
    script.set(|state| {
        state.kept = None;
        state.released = usize::MAX;
    });
    let outcomes = outcomes(&adapter.answer().await);
    let healed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let requests = script.now().token_requests - before;
    format!("{healed}, {requests}")
}

/// A POST whose token has been revoked.
async fn resend(adapter: &mut Adapter) -> String {
    let script = warm(adapter, State::default()).await;
    script.set(|state| state.refused_up_to = state.newest);
    let outcomes = adapter.request(1, "POST", "/orders").await;
    let state = script.now();
    let last = state.answered.last().expect("the API was called");
    match outcomes[0].status {
        Some(200) if !last.body.is_empty() => "sent again".to_owned(),
        Some(status) => status.to_string(),
        None => format!("error: {}", outcomes[0].error),
    }
}

/// 20 calls in turn to an API that refuses whatever comes.
async fn always(adapter: &mut Adapter) -> String {
    let script = warm(adapter, State::default()).await;
    script.set(|state| state.refused_up_to = usize::MAX);
    let before = script.now().token_requests;
    adapter.call_in_turn(20).await;
    (script.now().token_requests - before).to_string()
}

/// A redirect to another origin, and another one within that.
async fn redirect(adapter: &mut Adapter) -> String {
    let script = warm(adapter, State::default()).await;
    adapter.request(1, "GET", "/away").await;
    let strays = script.now().strays;
    let with_token = strays.iter().filter(|brought| **brought).count();
    format!("{with_token} of {}", strays.len())
}

/// What a program would log.
async fn debug(adapter: &mut Adapter) -> String {
    warm(adapter, State::default()).await;
    let answer = adapter.ask(json!({"do": "debug"})).await;
    let text = answer["text"].as_str().expect("a text");
    match text.contains(SECRET_PART) {
        true => "yes".to_owned(),
        false => "no".to_owned(),
    }
}

/// An answer that has the token in a place of its own, so that the library takes it for none.
async fn errors(adapter: &mut Adapter) -> String {
    let answer = TokenAnswer::As {
        status: 200,
        media_type: "application/json",
        body: r#"{"ok":true,"authed_user":{"access_token":"token-1-s3cr3t"}}"#,
    };
    let script = Script::start(State {
        answer,
        ..State::default()
    })
    .await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    let error = adapter.call(1).await.remove(0).error;
    let said = std::fs::read_to_string(SAID).expect("it was made");
    match (error + &said).contains(SECRET_PART) {
        true => "yes".to_owned(),
        false => "no".to_owned(),
    }
}

/// Three refreshes, one for each token that has expired.
async fn refreshed(adapter: &mut Adapter, refresh_tokens: RefreshTokens) -> String {
    let (good_refresh_token, expires_in) = (1, 1);
    let state = State {
        refresh_tokens,
        good_refresh_token,
        expires_in,
        ..State::default()
    };
    let script = Script::start(state).await;
    if adapter
        .set_up(&script, Some(refresh_token_text(1)))
        .await
        .is_err()
    {
        return NONE.to_owned();
    }
    for _ in 0..3 {
        script.set(|state| state.refused_up_to = state.newest);
        let outcome = &adapter.call(1).await[0];
        if !outcome.is_ok() {
            eprintln!("  {outcome:?}");
            return "lost".to_owned();
        }
        tokio::time::sleep(EXPIRED).await;
    }
    "kept".to_owned()
}

fn with_failures(cell: String, outcomes: &[Outcome]) -> String {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_ok()).collect();
    match failed.first() {
        None => cell,
        Some(first) => {
            eprintln!("  {first:?}");
            format!("{cell}; {} failed", failed.len())
        }
    }
}
