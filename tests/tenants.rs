//! K30: one named client for tenants that are known only at run time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it, and the program of the tests may panic"
)]

mod support;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, ErrorKind, Event, GrantFn, NamedTenantClient,
    NamedTenantClientBuilder, TenantSettings, TestClock, TokenEndpoint, TokenOptions,
    TokenParameters, TokenResponse,
};
use serde_json::json;
use support::api::Api;
use support::authorization_server::{Answer, AuthorizationServer};
use support::http_server::{HttpServer, Reply};
use support::issuer::Issuer;
use support::store::{Call, FragileStore, Mode};
use support::{soon, time_passes, under_way, until, while_time_passes};

/// What a test answers for a tenant.
#[derive(Clone)]
enum Reaction {
    Fail(Error),
    Hang,
    Panic,
    PanicAtOnce,
}

/// The program's knowledge of its tenants: `of` tells it, but for what is scripted.
#[derive(Clone)]
struct Tenants {
    of: Arc<dyn Fn(&str) -> TenantSettings + Send + Sync>,
    asked: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<HashMap<String, VecDeque<Reaction>>>>,
    gate: Arc<tokio::sync::RwLock<()>>,
}

impl Tenants {
    fn new(of: impl Fn(&str) -> TenantSettings + Send + Sync + 'static) -> Self {
        Self {
            of: Arc::new(of),
            asked: Arc::default(),
            script: Arc::default(),
            gate: Arc::default(),
        }
    }

    fn then(&self, tenant: &str, reaction: Reaction) {
        let mut script = self.script.lock().unwrap();
        script
            .entry(tenant.to_owned())
            .or_default()
            .push_back(reaction);
    }

    fn next(&self, tenant: &str) -> Option<Reaction> {
        let mut script = self.script.lock().unwrap();
        script.get_mut(tenant)?.pop_front()
    }

    /// How often the settings of this tenant were asked for.
    fn asked(&self, tenant: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == tenant).count()
    }

    fn client(&self, clock: &TestClock) -> NamedTenantClientBuilder {
        let tenants = self.clone();
        NamedTenantClient::builder("orders", move |tenant: String| {
            let tenants = tenants.clone();
            tenants.asked.lock().unwrap().push(tenant.clone());
            let reaction = tenants.next(&tenant);
            assert!(
                !matches!(reaction, Some(Reaction::PanicAtOnce)),
                "on purpose"
            );
            async move {
                match reaction {
                    Some(Reaction::Fail(error)) => return Err(error),
                    Some(Reaction::Hang) => std::future::pending().await,
                    Some(_) => panic!("on purpose"),
                    None => {}
                }
                let _open = tenants.gate.read().await;
                Ok((tenants.of)(&tenant))
            }
        })
        .clock(clock)
        .base_url("https://api.example.com")
        .each_source(|source| source.jitter(0.0))
    }
}

/// Tokens that say whose they are: `acme-1`, `acme-2`, ..., each of 600 s.
fn naming(tenant: &str, issued: &Arc<AtomicUsize>) -> GrantFn {
    let (tenant, issued) = (tenant.to_owned(), issued.clone());
    GrantFn::new("naming", move |_| {
        let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
        let token = TokenResponse::bearer(format!("{tenant}-{number}"));
        std::future::ready(Ok(token.with_expires_in(Duration::from_secs(600))))
    })
}

fn named_tenants() -> (Tenants, Arc<AtomicUsize>) {
    let issued = Arc::new(AtomicUsize::new(0));
    let counted = issued.clone();
    let of = move |tenant: &str| TenantSettings::new(naming(tenant, &counted));
    (Tenants::new(of), issued)
}

async fn token(client: &NamedTenantClient, tenant: &str) -> Result<String, Error> {
    let tenant = soon(client.for_tenant(tenant)).await?;
    let token = soon(tenant.source().token()).await?;
    Ok(token.expose().to_owned())
}

async fn kind(client: &NamedTenantClient, tenant: &str) -> ErrorKind {
    token(client, tenant).await.unwrap_err().kind()
}

/// A server whose tokens have the name of the client in them.
async fn login() -> HttpServer {
    HttpServer::start(|seen| async move {
        let client = seen.field("client_id").unwrap();
        let secret = seen.field("client_secret").unwrap();
        assert_eq!(secret, format!("secret of {client}"));
        let token = json!({ "access_token": client, "token_type": "Bearer", "expires_in": 600 });
        Some(Reply::new(200).json(&token))
    })
    .await
}

#[tokio::test]
async fn each_of_a_thousand_tenants_goes_with_its_own_token_to_its_own_api_and_to_no_other() {
    // K30, D1, D8
    let logins = [login().await, login().await];
    let apis = [
        Api::that_takes(|token| token.starts_with("even-")).await,
        Api::that_takes(|token| token.starts_with("odd-")).await,
    ];
    let client = ClientAuthentication::none("template");
    let endpoints = [0, 1].map(|side: usize| {
        TokenEndpoint::new(format!("{}/token", logins[side].url()), client.clone()).unwrap()
    });
    let urls = [apis[0].url().to_owned(), apis[1].url().to_owned()];
    let tenants = Tenants::new(move |tenant| {
        let side = usize::from(tenant.starts_with("odd-"));
        let secret = format!("secret of {tenant}");
        let client = ClientAuthentication::client_secret_post(tenant, secret);
        let endpoint = endpoints[side].for_client(client).unwrap();
        TenantSettings::new(ClientCredentials::new(endpoint)).base_url(&urls[side])
    });
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    let names: Vec<_> = (0..500)
        .flat_map(|number| [format!("even-{number}"), format!("odd-{number}")])
        .collect();
    for _ in 0..2 {
        let calls = names.iter().map(async |name| {
            let tenant = orders.for_tenant(name).await.unwrap();
            tenant.get(name).send().await.unwrap().status().as_u16()
        });
        assert_eq!(join_all(calls).await, vec![200; 1000]);
    }
    for api in &apis {
        let seen = api.seen();
        assert_eq!(seen.len(), 1000);
        for request in seen {
            assert_eq!(request.path, format!("/{}", request.token().unwrap()));
        }
    }
    assert_eq!(tenants.asked.lock().unwrap().len(), 1000);
    // D1: an absolute URL of another tenant's API is none of this one's, nor is the client's own.
    let even = orders.for_tenant("even-1").await.unwrap();
    for elsewhere in [apis[1].url(), "https://api.example.com/"] {
        let error = even.get(elsewhere).send().await.unwrap_err();
        let kind = Error::find_in(&error).map(Error::kind);
        assert_eq!(kind, Some(ErrorKind::OriginNotAllowed));
    }
    assert_eq!(apis[1].seen().len(), 1000);
}

#[tokio::test]
async fn the_settings_of_a_tenant_are_asked_for_once_by_however_many_calls_and_outlive_their_caller()
 {
    // K30, A1, A2
    let (tenants, issued) = named_tenants();
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    let closed = tenants.gate.write().await;
    let first = under_way({
        let orders = orders.clone();
        async move { orders.for_tenant("acme").await.map(drop) }
    })
    .await;
    first.abort();
    let calls = (0..1000).map(|_| token(&orders, "acme"));
    let calls = join_all(calls);
    drop(closed);
    for token in calls.await {
        assert_eq!(token.unwrap(), "acme-1");
    }
    assert_eq!(tenants.asked("acme"), 1);
    assert_eq!(issued.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn settings_that_cannot_be_had_harm_their_own_tenant_alone_and_are_asked_for_by_pauses() {
    // K30, B6, A4
    let unknown = || Reaction::Fail(Error::rejected("no such tenant"));
    for (reaction, expected) in [
        (unknown(), ErrorKind::Rejected),
        (
            Reaction::Fail(Error::unavailable("down")),
            ErrorKind::Unavailable,
        ),
        (Reaction::Panic, ErrorKind::Panicked),
        (Reaction::PanicAtOnce, ErrorKind::Panicked),
    ] {
        let clock = TestClock::new();
        let (tenants, _) = named_tenants();
        let orders = tenants.client(&clock).build().unwrap();
        tenants.then("broken", reaction.clone());
        tenants.then("broken", reaction);
        let error = token(&orders, "broken").await.unwrap_err();
        assert_eq!(error.kind(), expected);
        assert_eq!(error.token_source(), Some("orders"));
        for (round, pause) in [(1, 1), (2, 2)] {
            let pause = Duration::from_secs(pause);
            let again = token(&orders, "broken").await.unwrap_err();
            assert_eq!(again.retry_at(), Some(clock.system_time() + pause));
            assert_eq!(tenants.asked("broken"), round);
            assert!(token(&orders, "acme").await.is_ok());
            clock.advance(pause);
            if round == 1 {
                assert_eq!(kind(&orders, "broken").await, expected);
            }
        }
        assert!(token(&orders, "broken").await.is_ok());
    }
}

#[tokio::test]
async fn settings_that_do_not_come_are_given_up_after_ten_seconds_and_nobody_else_waits() {
    // K30, E2
    let clock = TestClock::new();
    let (tenants, _) = named_tenants();
    let orders = tenants.client(&clock).build().unwrap();
    tenants.then("slow", Reaction::Hang);
    let slow = under_way({
        let orders = orders.clone();
        async move { orders.for_tenant("slow").await.map(drop) }
    })
    .await;
    until(async || tenants.asked("slow") == 1).await;
    assert!(token(&orders, "acme").await.is_ok());
    time_passes(&clock, Duration::from_millis(9_900)).await;
    assert!(!slow.is_finished());
    time_passes(&clock, Duration::from_millis(100)).await;
    let error = soon(slow).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.retry_at().is_some());
}

#[tokio::test]
async fn what_cannot_work_is_told_and_a_foreign_error_is_the_source_of_ours() {
    // K30, D2, D6, E8
    let clock = TestClock::new();
    let constant = || GrantFn::new("none", |_| async { Err(Error::rejected("never asked")) });
    for settings in [
        TenantSettings::new(constant()).base_url("http://plain.example.com"),
        TenantSettings::new(constant()).base_url("no url"),
        TenantSettings::new(constant()).origin("no origin"),
    ] {
        let settings = Mutex::new(Some(settings));
        let tenants = Tenants::new(move |_| settings.lock().unwrap().take().unwrap());
        let orders = tenants.client(&clock).build().unwrap();
        let error = orders.for_tenant("acme").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    }
    let nowhere = NamedTenantClient::new("orders", move |_| async move {
        Ok::<_, Error>(TenantSettings::new(constant()))
    });
    let error = nowhere.unwrap().for_tenant("acme").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let foreign = NamedTenantClient::new("orders", |_| async { Err("canary: no database") });
    let foreign = foreign.unwrap();
    let error = foreign.for_tenant("acme").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(std::error::Error::source(&error).is_some());
    assert!(!error.to_string().contains("canary"), "{error}");
    for name in ["", " ", &"x".repeat(1025)] {
        assert_eq!(kind(&foreign, name).await, ErrorKind::UnknownName);
    }
    let (tenants, _) = named_tenants();
    assert!(tenants.client(&clock).capacity(0).build().is_err());
    assert!(tenants.client(&clock).base_url("no url").build().is_err());
    let debug = format!("{:?}{:?}", tenants.client(&clock), foreign);
    assert!(
        !debug.contains("acme") && !debug.contains("example.com"),
        "{debug}"
    );
}

#[tokio::test]
async fn of_ten_thousand_tenants_no_more_are_kept_than_the_capacity_says_and_never_one_in_use() {
    // K30, F9
    let marker = Arc::new(());
    let (of_each, issued) = (marker.clone(), Arc::new(AtomicUsize::new(0)));
    let tenants = Tenants::new(move |tenant| {
        let (kept, inner) = (of_each.clone(), naming(tenant, &issued));
        TenantSettings::new(GrantFn::new("counted", move |request| {
            let _ = &kept;
            let inner = inner.clone();
            async move { reqwest_bearer::Grant::obtain(&inner, request).await }
        }))
    });
    let orders = tenants
        .client(&TestClock::new())
        .capacity(100)
        .build()
        .unwrap();
    // Beside the marker itself, and the one that the tenants are made with.
    let kept = || Arc::strong_count(&marker) - 2;
    let held = orders.for_tenant("held").await.unwrap();
    let source = orders.for_tenant("source").await.unwrap().source();
    let (of_held, of_source) = (held.source().token().await, source.token().await);
    assert_eq!(of_held.unwrap().expose(), "held-1");
    assert_eq!(of_source.unwrap().expose(), "source-2");
    for number in 0..10_000 {
        token(&orders, &format!("tenant-{number}")).await.unwrap();
        assert!(kept() <= 100, "{} after {number}", kept());
        // One that is used again and again stays, too.
        token(&orders, "frequent").await.unwrap();
    }
    assert!(kept() > 90, "{}", kept());
    assert_eq!(token(&orders, "held").await.unwrap(), "held-1");
    assert_eq!(token(&orders, "source").await.unwrap(), "source-2");
    assert_eq!(tenants.asked("frequent"), 1);
    // One that has left is asked for again.
    token(&orders, "tenant-0").await.unwrap();
    assert_eq!(tenants.asked("tenant-0"), 2);
}

#[tokio::test]
async fn tenants_who_do_not_exist_drive_out_none_of_those_who_do() {
    // K30, F9
    let (tenants, _) = named_tenants();
    let orders = tenants
        .client(&TestClock::new())
        .capacity(64)
        .build()
        .unwrap();
    for number in 0..32 {
        token(&orders, &format!("real-{number}")).await.unwrap();
    }
    for number in 0..1000 {
        let name = format!("ghost-{number}");
        tenants.then(&name, Reaction::Fail(Error::rejected("no such tenant")));
        assert_eq!(kind(&orders, &name).await, ErrorKind::Rejected);
    }
    for number in 0..32 {
        let name = format!("real-{number}");
        token(&orders, &name).await.unwrap();
        assert_eq!(tenants.asked(&name), 1);
    }
}

#[tokio::test]
async fn a_tenant_that_is_removed_is_gone_also_from_clients_that_are_held() {
    // K30, F10
    let api = Api::that_takes(|_| true).await;
    let (url, issued) = (api.url().to_owned(), Arc::new(AtomicUsize::new(0)));
    let tenants =
        Tenants::new(move |tenant| TenantSettings::new(naming(tenant, &issued)).base_url(&url));
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    let held = orders.for_tenant("acme").await.unwrap();
    let scoped = held.source();
    let scoped = scoped.with_parameters(TokenParameters::new().scope("read"));
    let mut watch = held.source().keep_fresh().unwrap();
    soon(held.get("1").send()).await.unwrap();
    soon(scoped.token()).await.unwrap();
    soon(watch.changed()).await.unwrap();
    soon(orders.remove("acme")).await.unwrap();
    let error = soon(held.get("2").send()).await.unwrap_err();
    let kind = Error::find_in(&error).map(Error::kind);
    assert_eq!(kind, Some(ErrorKind::ShutDown));
    assert_eq!(
        soon(scoped.token()).await.unwrap_err().kind(),
        ErrorKind::ShutDown
    );
    assert_eq!(
        soon(watch.changed()).await.unwrap_err().kind(),
        ErrorKind::ShutDown
    );
    assert_eq!(api.tokens(), ["acme-1"]);
    // It may come back, with other settings: as another one.
    let anew = orders.for_tenant("acme").await.unwrap();
    soon(anew.get("3").send()).await.unwrap();
    assert_eq!(api.tokens(), ["acme-1", "acme-3"]);
    assert_eq!(tenants.asked("acme"), 2);
    soon(orders.remove("nobody")).await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_when_a_tenant_is_removed_brings_nothing_back() {
    // K30, F10
    let clock = TestClock::new();
    let issuer = Issuer::new();
    let grant = issuer.grant();
    let tenants = Tenants::new(move |_| TenantSettings::new(grant.clone()));
    let orders = tenants.client(&clock).build().unwrap();
    issuer.hold();
    let held = orders.for_tenant("acme").await.unwrap();
    let waiting = under_way({
        let source = held.source();
        async move { source.token().await.map(drop) }
    })
    .await;
    issuer.until_requests(1).await;
    soon(orders.remove("acme")).await.unwrap();
    issuer.release();
    assert!(soon(waiting).await.unwrap().is_err());
    assert_eq!(
        held.source().token().await.unwrap_err().kind(),
        ErrorKind::ShutDown
    );
    // The same while the settings are asked for.
    let closed = tenants.gate.write().await;
    let asking = under_way({
        let orders = orders.clone();
        async move { orders.for_tenant("other").await.map(drop) }
    })
    .await;
    until(async || tenants.asked("other") == 1).await;
    soon(orders.remove("other")).await.unwrap();
    drop(closed);
    let error = soon(asking).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutDown);
    assert!(orders.for_tenant("other").await.is_ok());
}

#[tokio::test]
async fn what_is_under_way_when_a_tenant_is_removed_leaves_no_record_either() {
    // K30, F10
    let clock = TestClock::new();
    let (store, issuer) = (FragileStore::new(&clock), Issuer::new());
    let (of_each, grant) = (store.clone(), issuer.grant());
    let tenants = Tenants::new(move |_| TenantSettings::new(grant.clone()));
    let orders = tenants
        .client(&clock)
        .each_source(move |source| source.jitter(0.0).store(of_each.clone()))
        .build()
        .unwrap();
    let held = orders.for_tenant("acme").await.unwrap();
    issuer.hold();
    let waiting = under_way({
        let source = held.source();
        async move { source.token().await.map(drop) }
    })
    .await;
    issuer.until_requests(1).await;
    let removing = under_way({
        let orders = orders.clone();
        async move { orders.remove("acme").await }
    })
    .await;
    // In this process it is gone while the request is under way.
    let gone = soon(held.source().token()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::ShutDown);
    issuer.release();
    soon(removing).await.unwrap().unwrap();
    assert!(soon(waiting).await.unwrap().is_err());
    assert!(store.memory().is_empty());
}

#[tokio::test]
async fn a_store_that_fails_at_one_record_of_a_removed_tenant_is_told_of_the_others_all_the_same() {
    // K30, F10
    let clock = TestClock::new();
    let store = FragileStore::new(&clock);
    let of_each = store.clone();
    let (tenants, _) = named_tenants();
    let orders = tenants
        .client(&clock)
        .each_source(move |source| source.jitter(0.0).store(of_each.clone()))
        .build()
        .unwrap();
    let tenant = orders.for_tenant("acme").await.unwrap();
    let (plain, read) = (TokenOptions::new(), TokenOptions::new().scope("read"));
    for options in [plain, read.clone(), read.scope("write")] {
        soon(tenant.source().token_with(&options)).await.unwrap();
    }
    assert_eq!(store.memory().len(), 3);
    store.hold(Call::Remove);
    let removing = under_way({
        let orders = orders.clone();
        async move { orders.remove("acme").await }
    })
    .await;
    store.until_calls(Call::Remove, 1).await;
    store.be(Mode::Failing(Call::Remove));
    store.release_and_hold(Call::Remove);
    store.until_calls(Call::Remove, 2).await;
    store.be(Mode::Well);
    store.release();
    let error = soon(removing).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert_eq!(store.memory().len(), 1);
}

#[tokio::test]
async fn what_the_store_did_not_take_of_a_tenant_is_not_offered_to_it_again_after_the_removal() {
    // K30, F2
    for comes_during_the_removal in [false, true] {
        let clock = TestClock::new();
        let (store, issuer) = (FragileStore::new(&clock), Issuer::new());
        let (of_each, grant) = (store.clone(), issuer.grant());
        let tenants = Tenants::new(move |_| TenantSettings::new(grant.clone()));
        let orders = tenants
            .client(&clock)
            .each_source(move |source| source.jitter(0.0).store(of_each.clone()))
            .build()
            .unwrap();
        // A refresh token is what a store is offered again and again.
        let token = TokenResponse::bearer("token").with_refresh_token("refresh");
        issuer.always(token.with_expires_in(Duration::from_secs(600)));
        store.be(Mode::Failing(Call::Save));
        let held = orders.for_tenant("acme").await.unwrap();
        issuer.hold();
        let waiting = under_way({
            let source = held.source();
            async move { source.token().await.map(drop) }
        })
        .await;
        issuer.until_requests(1).await;
        if !comes_during_the_removal {
            issuer.release();
            store.until_calls(Call::Save, 1).await;
        }
        let removing = under_way({
            let orders = orders.clone();
            async move { orders.remove("acme").await }
        })
        .await;
        issuer.release();
        let began = clock.system_time();
        let removed = while_time_passes(&clock, removing).await;
        removed.unwrap().unwrap();
        // What was waiting to be offered is waited for no longer; what is under way is, for 10 s.
        let took = clock.system_time().duration_since(began).unwrap();
        assert_eq!(took >= Duration::from_secs(10), comes_during_the_removal);
        let _ = soon(waiting).await.unwrap();
        store.be(Mode::Well);
        for _ in 0..3 {
            time_passes(&clock, Duration::from_secs(60)).await;
        }
        assert!(store.memory().is_empty(), "{comes_during_the_removal}");
    }
}

#[tokio::test]
async fn two_tenants_never_share_a_record_and_a_restart_finds_each_tenant_s_own() {
    // K30, D8, F3: their grants tell nothing of the tenant.
    let clock = TestClock::new();
    let store = FragileStore::new(&clock);
    let (tenants, issued) = named_tenants();
    let process = || {
        let store = store.clone();
        let client = tenants.client(&clock);
        client
            .each_source(move |source| source.jitter(0.0).store(store.clone()))
            .build()
            .unwrap()
    };
    let (before, after) = (process(), process());
    let names: Vec<_> = (0..50).map(|number| format!("tenant-{number}")).collect();
    let mut tokens = Vec::new();
    for name in &names {
        let token = token(&before, name).await.unwrap();
        assert!(token.starts_with(&format!("{name}-")), "{token} for {name}");
        tokens.push(token);
    }
    for (name, known) in names.iter().zip(&tokens) {
        assert_eq!(&token(&after, name).await.unwrap(), known);
    }
    assert_eq!(issued.load(Ordering::SeqCst), 50);
    // A removal takes the tenant's own records and nobody else's.
    for name in &names {
        assert!(!store.memory().is_empty());
        let scoped = TokenOptions::new().scope("read");
        let tenant = before.for_tenant(name).await.unwrap();
        soon(tenant.source().token_with(&scoped)).await.unwrap();
        soon(before.remove(name)).await.unwrap();
    }
    assert!(store.memory().is_empty());
}

/// Tenants of two servers by their names' first letter, each client id its tenant's name.
fn at(servers: [&AuthorizationServer; 2]) -> Tenants {
    let endpoints = servers.map(AuthorizationServer::endpoint);
    Tenants::new(move |tenant| {
        let endpoint = &endpoints[usize::from(!tenant.starts_with('a'))];
        let client = ClientAuthentication::client_secret_basic(tenant, "secret");
        let endpoint = endpoint.for_client(client).unwrap();
        TenantSettings::new(ClientCredentials::new(endpoint))
    })
}

#[tokio::test]
async fn tenants_of_one_server_share_its_places_and_those_of_another_do_not_wait_for_them() {
    // K30, A7
    let (first, second) = (
        AuthorizationServer::start().await,
        AuthorizationServer::start().await,
    );
    let tenants = at([&first, &second]);
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    first.hold();
    let calls = (0..40).map(|number| {
        let orders = orders.clone();
        tokio::spawn(async move { token(&orders, &format!("a-{number}")).await })
    });
    let calls: Vec<_> = calls.collect();
    first.until_held(16).await;
    for number in 0..40 {
        token(&orders, &format!("b-{number}")).await.unwrap();
    }
    assert_eq!(first.token_requests(), 16);
    first.release();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    assert_eq!((first.most_at_once(), first.token_requests()), (16, 40));
}

#[tokio::test]
async fn endpoints_of_many_servers_share_one_http_client_and_no_limits() {
    // K30, A7
    let (first, second) = (
        AuthorizationServer::start().await,
        AuthorizationServer::start().await,
    );
    let client = || ClientAuthentication::client_secret_basic("client", "secret");
    let shared = TokenEndpoint::builder(client())
        .token_url(first.token_url())
        .http(reqwest::Client::builder().user_agent("tenants"))
        .build()
        .unwrap();
    let of_each = [first.token_url(), second.token_url()];
    let tenants = Tenants::new(move |tenant| {
        let url = &of_each[usize::from(!tenant.starts_with('a'))];
        let endpoint = TokenEndpoint::builder(client()).token_url(url);
        let endpoint = endpoint.http_client_of(&shared).build().unwrap();
        TenantSettings::new(ClientCredentials::new(endpoint))
    });
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    first.hold();
    let calls = (0..20).map(|number| {
        let orders = orders.clone();
        tokio::spawn(async move { token(&orders, &format!("a-{number}")).await })
    });
    let calls: Vec<_> = calls.collect();
    first.until_held(20).await;
    token(&orders, "b").await.unwrap();
    first.release();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    for request in first.requests().into_iter().chain(second.requests()) {
        assert_eq!(request.headers["user-agent"], "tenants");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_left_alone_for_all_of_its_tenants_and_for_none_of_another_s() {
    // K30, A8
    let clock = TestClock::new();
    let (first, second) = (
        AuthorizationServer::start().await,
        AuthorizationServer::start().await,
    );
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = ended.clone();
    let tenants = at([&first, &second]);
    let client = tenants.client(&clock).each_source(move |source| {
        let counted = counted.clone();
        source.jitter(0.0).on_event(move |event| {
            if let Event::TokenRequest { .. } = event {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let orders = client.build().unwrap();
    first.always(Answer::Cut);
    let calls = ["a-1", "a-2", "a-3"].map(|name| {
        let orders = orders.clone();
        tokio::spawn(async move { kind(&orders, name).await })
    });
    // What they do not know yet is tried again within their flights; time passes between attempts only.
    let mut attempts = 0;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        until(async || {
            ended.load(Ordering::SeqCst) > attempts
                || calls.iter().all(tokio::task::JoinHandle::is_finished)
        })
        .await;
        attempts = ended.load(Ordering::SeqCst);
        time_passes(&clock, Duration::from_millis(200)).await;
    }
    let asked = first.token_requests();
    let error = token(&orders, "a-4").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_at().is_some());
    assert_eq!(first.token_requests(), asked);
    assert!(token(&orders, "b-1").await.is_ok());
}

#[tokio::test]
async fn a_shutdown_ends_the_sources_of_all_tenants_and_waits_for_their_requests() {
    // K30, F10
    let issuer = Issuer::new();
    let grant = issuer.grant();
    let tenants = Tenants::new(move |_| TenantSettings::new(grant.clone()));
    let orders = tenants.client(&TestClock::new()).build().unwrap();
    let idle = orders.for_tenant("idle").await.unwrap();
    issuer.hold();
    let waiting = tokio::spawn({
        let orders = orders.clone();
        async move { token(&orders, "busy").await }
    });
    issuer.until_requests(1).await;
    let closing = under_way({
        let orders = orders.clone();
        async move { orders.shutdown().await }
    })
    .await;
    assert!(!closing.is_finished());
    issuer.release();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "token-1");
    soon(closing).await.unwrap().unwrap();
    assert_eq!(kind(&orders, "new").await, ErrorKind::ShutDown);
    assert_eq!(
        idle.source().token().await.unwrap_err().kind(),
        ErrorKind::ShutDown
    );
}
