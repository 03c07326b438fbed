//! D8, C8, D3: an application's client and a users' client, and what they have in common.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::sync::{Arc, Mutex};

use reqwest_bearer::{
    ConstantToken, Error, ErrorKind, ExchangedTokens, NamedClient, NamedClients,
    NamedExchangeClient, NamedUserClient, Subject, SubjectToken, TestClock, TokenExchange,
    TokenSet, UserSessions, http_client, http_client_without_redirects, reqwest,
};
use support::api::Api;
use support::http_server::{HttpServer, Reply, Seen};
use support::login::Login;
use support::soon;

fn subject() -> Subject {
    Subject::new("alice").unwrap()
}

async fn users(login: &Login) -> UserSessions {
    let users = UserSessions::builder(&login.endpoint()).clock(&TestClock::new());
    let users = users.build().unwrap();
    let tokens = TokenSet::new("dead");
    users.sign_in(&subject(), tokens).await.unwrap();
    users
}

#[tokio::test]
async fn the_registry_has_all_kinds_and_names_the_right_question() {
    // D8
    let login = Login::start().await;
    let users = users(&login).await;
    let own = NamedClient::new(
        "billing",
        "https://b.test",
        ConstantToken::new("t").unwrap(),
    );
    let of_users = || NamedUserClient::new("orders", "https://o.test", &users).unwrap();
    let apis = NamedClients::new([own.unwrap()]).unwrap();
    let apis = apis.with_user_clients([of_users()]).unwrap();
    let exchanged = ExchangedTokens::new(TokenExchange::new(login.endpoint())).unwrap();
    let of_callers = || NamedExchangeClient::new("stock", "https://s.test", &exchanged).unwrap();
    let apis = apis.with_exchange_clients([of_callers()]).unwrap();
    assert_eq!(apis.get("billing").unwrap().name(), "billing");
    assert_eq!(apis.user_client("orders").unwrap().name(), "orders");
    assert_eq!(apis.exchange_client("stock").unwrap().name(), "stock");
    let names: Vec<_> = apis.names().collect();
    assert_eq!(names, ["billing", "orders", "stock"]);
    let of_callers_alone = apis.iter_exchange_clients().map(NamedExchangeClient::name);
    assert_eq!(of_callers_alone.collect::<Vec<_>>(), ["stock"]);
    for (error, right) in [
        (apis.get("orders").map(drop), "`user_client(\"orders\")`"),
        (apis.user_client("billing").map(drop), "`get(\"billing\")`"),
        (apis.get("stock").map(drop), "`exchange_client(\"stock\")`"),
        (
            apis.exchange_client("orders").map(drop),
            "`user_client(\"orders\")`",
        ),
        (
            apis.get("mail").map(drop),
            "there are: billing, orders, stock",
        ),
        (
            apis.user_client("mail").map(drop),
            "there are: billing, orders, stock",
        ),
        (
            apis.exchange_client("mail").map(drop),
            "there are: billing, orders, stock",
        ),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownName);
        assert!(error.to_string().contains(right), "{error}");
    }
    let twice = apis.clone().with_user_clients([of_users()]).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Settings);
    let twice = apis.clone().with_exchange_clients([of_callers()]);
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Settings);
    apis.shutdown().await.unwrap();
    let caller = SubjectToken::new("t").unwrap();
    let error = exchanged.for_subject_token(&caller).token().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ShutDown);
    let same_name = NamedClient::new("orders", "https://o.test", ConstantToken::new("t").unwrap());
    let other_kind = NamedClients::new([same_name.unwrap()]).unwrap();
    assert!(other_kind.with_user_clients([of_users()]).is_err());
}

#[tokio::test]
async fn an_ended_session_is_an_error_where_so_set_and_the_api_s_answer_otherwise() {
    // C8
    let login = Login::start().await;
    let users = users(&login).await;
    let api = Api::that_takes(|token| token != "dead").await;
    let plain = api.user_client(&users).for_subject(&subject());
    let answer = soon(plain.get("x").send()).await.unwrap();
    assert_eq!(answer.status(), 401);
    let reason = Error::find_in_response(&answer).unwrap();
    assert_eq!(reason.kind(), ErrorKind::SignInRequired);

    let strict = NamedUserClient::builder("api", api.url(), &users)
        .error_on_ended_session()
        .build()
        .unwrap()
        .for_subject(&subject());
    users
        .sign_in(&subject(), TokenSet::new("dead"))
        .await
        .unwrap();
    for _ in 0..2 {
        // The first time the API has answered 401, the second time nothing is sent.
        let error = soon(strict.get("x").send()).await.unwrap_err();
        assert_eq!(
            Error::find_in(&error).unwrap().kind(),
            ErrorKind::SignInRequired
        );
        users.sign_out(&subject()).await.unwrap();
    }
}

#[tokio::test]
async fn only_an_ended_session_becomes_an_error_of_ours() {
    // C8
    let api = Api::that_takes(|_| false).await;
    let strict = NamedClient::builder("api", api.url(), ConstantToken::new("t").unwrap())
        .error_on_ended_session()
        .build()
        .unwrap();
    let answer = soon(strict.get("x").send()).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn named_clients_share_one_pool_of_connections_that_keeps_the_token_at_home() {
    // D3: A -> B -> B, where reqwest's own policy would deliver the token to B.
    let seen_there: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let seen = seen_there.clone();
    let there = HttpServer::start(move |request| {
        let second = request.path == "/2";
        seen.lock().unwrap().push(request);
        async move {
            Some(if second {
                Reply::new(200)
            } else {
                Reply::new(302).header("location", "/2")
            })
        }
    })
    .await;
    let to = format!("{}/1", there.url());
    let here = HttpServer::start(move |_| {
        let to = to.clone();
        async move { Some(Reply::new(302).header("location", to)) }
    })
    .await;
    let shared = http_client(reqwest::Client::builder().no_proxy()).unwrap();
    let still = http_client_without_redirects(reqwest::Client::builder().no_proxy()).unwrap();
    let client = |http| {
        let token = ConstantToken::new("t").unwrap();
        let builder = NamedClient::builder("here", here.url(), token).client(http);
        builder.build().unwrap()
    };
    for name in ["one", "other"] {
        let answer = soon(client(&shared).get(name).send()).await.unwrap();
        assert_eq!(answer.status(), 302, "it stops before the second hop there");
    }
    assert_eq!(here.connections(), 1, "two clients, one pool");
    let seen = std::mem::take(&mut *seen_there.lock().unwrap());
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.token().is_none()));
    let token = || ConstantToken::new("t").unwrap();
    let stays = NamedClient::builder("here", here.url(), token()).same_origin_client(&still);
    let answer = soon(stays.build().unwrap().get("x").send()).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert!(
        seen_there.lock().unwrap().is_empty(),
        "no redirect was followed"
    );
    // A header that reqwest does not take out travels by a client that leaves no origin alone.
    let in_header = || NamedClient::builder("here", here.url(), token()).header("x-token");
    let error = in_header().client(&shared).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(in_header().same_origin_client(&still).build().is_ok());
}
