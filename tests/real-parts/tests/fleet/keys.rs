//! The same fleet with sessions that are bound to keys (DPoP), and nonces that change while it runs.
//!
//! The keys are the test's own, made at the sign-ins: no process of the fleet gets one but in a record. The
//! server says which key each request was proved by, refused ones included, and so does the API. A key that
//! is not the session's would not get through at either; that nothing was sent with one is looked at by
//! itself, because a fleet might recover from it.

use std::collections::{BTreeSet, HashMap, HashSet};

use real_parts::fleet::{Line, Tokens};
use real_parts::shared_store::Kind;

use crate::{Fleet, PROCESSES, World, killed, load, turn};

const USE_DPOP_NONCE: &str = "use_dpop_nonce";

/// Checks what was sent, and what was refused, but of the users who lost a refresh token on the wire.
async fn check(world: &World, fleet: &Fleet, lost: &BTreeSet<&String>) {
    let users: HashMap<_, _> = world
        .keys
        .iter()
        .map(|(user, key)| (key.thumbprint(), user))
        .collect();
    let user_of = |key: &Option<String>| {
        let key = key.as_deref().expect("each request has a proof");
        *users.get(key).expect("each proof is by a session's key")
    };

    // Each refresh token belongs to the user for whom it was issued, and the first ones were sent by their
    // users' keys: a refused request does not say whose it was.
    let rotations = world.issuer().rotations().await;
    let mut owners = HashMap::new();
    for rotation in &rotations {
        if let (Some(account), Some(sent)) = (&rotation.account, &rotation.sent) {
            owners.insert(sent, account);
            owners.extend(rotation.issued.iter().map(|issued| (issued, account)));
        }
    }
    for rotation in &rotations {
        let owner = rotation.sent.as_ref().and_then(|sent| owners.get(sent));
        // One whose only use was for the nonce, because the process was killed then.
        let owner = owner.map_or_else(|| user_of(&rotation.key), |owner| *owner);
        assert_eq!(user_of(&rotation.key), owner, "{rotation:?}");
        let is_good = matches!(rotation.error.as_deref(), None | Some(USE_DPOP_NONCE));
        assert!(is_good || lost.contains(owner), "{rotation:?}");
    }
    let requests = world.issuer().api_requests().await;
    for request in &requests {
        let user = user_of(&request.key);
        // On a machine with too much to do a token may end on its way.
        let is_proven = request.error.as_deref() != Some("invalid_dpop_proof");
        assert!(is_proven, "{request:?}");
        assert!(
            request.sub.as_ref().is_none_or(|sub| sub == user),
            "{request:?}"
        );
    }

    // A demand for a nonce is no refusal of the token (H6).
    let by_refusal = fleet
        .lines()
        .iter()
        .filter(|line| matches!(line, Line::TokenRequest { reason, .. } if reason == "refusal"))
        .count();
    let refused = |sent: &real_parts::ApiRequest| sent.error.as_deref() == Some("invalid_token");
    assert!(
        by_refusal == 0 || requests.iter().any(refused),
        "{by_refusal}"
    );

    let wants = |error: &Option<String>| error.as_deref() == Some(USE_DPOP_NONCE);
    let at_the_server = rotations.iter().filter(|sent| wants(&sent.error)).count();
    let at_the_api = requests.iter().filter(|sent| wants(&sent.error)).count();
    println!(
        "{} uses of refresh tokens, {at_the_server} of them for a nonce; {} requests to the API, \
         {at_the_api} of them for a nonce; {by_refusal} refreshes by refusal",
        rotations.len(),
        requests.len(),
    );
    // Each process has to ask for its first one. What is more than that was asked for because it changed.
    let mut asked = HashSet::new();
    let mut asking = rotations.iter().filter(|sent| wants(&sent.error));
    assert!(
        asking.any(|sent| !asked.insert(killed::pid_of(sent))),
        "no change at the server"
    );
    assert!(at_the_api > fleet.workers.len(), "no change at the API");
}

#[tokio::test]
async fn a_nonce_that_changes_fails_no_call_and_refreshes_no_token_in_a_fleet() {
    // H6, F2
    let _turn = turn().await;
    let run = load::run(Kind::Redis, Tokens::Bound, PROCESSES).await;
    check(&run.world, &run.fleet, &BTreeSet::new()).await;
}

#[tokio::test]
async fn whoever_is_killed_leaves_the_session_s_key_to_the_others() {
    // H5, H6, F6
    let _turn = turn().await;
    let killed = killed::run(Kind::Redis, Tokens::Bound, 0.0, false).await;
    check(&killed.world, &killed.fleet, &killed.lost.keys().collect()).await;
}
