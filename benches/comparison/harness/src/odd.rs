//! Answers as providers give them, each played to every library that reads answers itself.

use crate::adapter::Adapter;
use crate::cases::NONE;
use crate::libraries::Library;
use crate::script::{Basic, Script, State, TokenAnswer, refresh_token_text};

/// What has to come of an answer.
#[derive(Clone, Copy, PartialEq)]
enum Right {
    /// Its token is used, until it expires.
    Token,
    /// The error says that the user has to sign in again.
    Ended,
    /// An error that says nothing of the kind: the session may well go on.
    Unclear,
}

struct Odd {
    id: &'static str,
    status: u16,
    media_type: &'static str,
    body: &'static str,
    right: Right,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const fn token(id: &'static str, body: &'static str) -> Odd {
    let (status, media_type, right) = (200, JSON, Right::Token);
    Odd {
        id,
        status,
        media_type,
        body,
        right,
    }
}

const fn end(id: &'static str, status: u16, body: &'static str) -> Odd {
    let (media_type, right) = (JSON, Right::Ended);
    Odd {
        id,
        status,
        media_type,
        body,
        right,
    }
}

const ODD: [Odd; 12] = [
    token(
        "plain",
        r#"{"access_token":"token-1-s3cr3t","token_type":"Bearer","expires_in":3600}"#,
    ),
    token(
        "text-lifetime",
        r#"{"access_token":"token-1-s3cr3t","token_type":"Bearer","expires_in":"3599"}"#,
    ),
    token(
        "own-type",
        r#"{"access_token":"token-1-s3cr3t","token_type":"BearerToken","expires_in":3600}"#,
    ),
    token(
        "no-type",
        r#"{"access_token":"token-1-s3cr3t","expires_in":3600}"#,
    ),
    token(
        "type-bot",
        r#"{"ok":true,"access_token":"token-1-s3cr3t","token_type":"bot","expires_in":3600}"#,
    ),
    token(
        "nested",
        r#"{"ok":true,"authed_user":{"access_token":"token-1-s3cr3t","expires_in":3600}}"#,
    ),
    Odd {
        id: "form",
        status: 200,
        media_type: FORM,
        body: "access_token=token-1-s3cr3t&token_type=bearer&expires_in=3600",
        right: Right::Token,
    },
    end("plain-end", 400, r#"{"error":"invalid_grant"}"#),
    end(
        "end-200",
        200,
        r#"{"error":"bad_refresh_token","error_description":"gone"}"#,
    ),
    end(
        "end-ok-false",
        200,
        r#"{"ok":false,"error":"invalid_refresh_token"}"#,
    ),
    end(
        "end-status",
        400,
        r#"{"status":"BAD_REFRESH_TOKEN","message":"gone"}"#,
    ),
    Odd {
        id: "page",
        status: 200,
        media_type: "text/html",
        body: "<html>Please log in to the network</html>",
        right: Right::Unclear,
    },
];

/// Whether the library does what is right as it is.
pub async fn measure(id: &str, library: &Library) -> String {
    if !library.reads_answers {
        return NONE.to_owned();
    }
    let mut adapter = Adapter::start(&library.command());
    let cell = match id {
        "basic-encoded" => basic(&mut adapter, Basic::Encoded).await,
        "basic-as-it-is" => basic(&mut adapter, Basic::AsItIs).await,
        _ => {
            let odd = ODD
                .iter()
                .find(|odd| odd.id == id)
                .expect("it is one of them");
            play(&mut adapter, odd).await
        }
    };
    adapter.end().await;
    cell.to_owned()
}

async fn play(adapter: &mut Adapter, odd: &Odd) -> &'static str {
    let (status, media_type, body) = (odd.status, odd.media_type, odd.body);
    let answer = TokenAnswer::As {
        status,
        media_type,
        body,
    };
    let good_refresh_token = 1;
    let state = State {
        answer,
        good_refresh_token,
        ..State::default()
    };
    let script = Script::start(state).await;
    let refresh_token = (odd.right != Right::Token).then(|| refresh_token_text(1));
    if adapter.set_up(&script, refresh_token).await.is_err() {
        return NONE;
    }
    let outcome = adapter.call(1).await.remove(0);
    eprintln!("  {}: {outcome:?}", odd.id);
    let is_right = match odd.right {
        Right::Token => {
            let again = adapter.call(1).await;
            outcome.is_ok() && again[0].is_ok() && script.now().token_requests == 1
        }
        Right::Ended => outcome.ended,
        Right::Unclear => !outcome.is_ok() && !outcome.ended,
    };
    right(is_right)
}

async fn basic(adapter: &mut Adapter, basic: Basic) -> &'static str {
    let script = Script::start(State {
        basic,
        ..State::default()
    })
    .await;
    let can = adapter.set_up(&script, None).await;
    can.expect("each has a token of the application's");
    right(adapter.call(1).await[0].is_ok())
}

fn right(is_right: bool) -> &'static str {
    match is_right {
        true => "right",
        false => "wrong",
    }
}
