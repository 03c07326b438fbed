//! The application's own token, shared by all of its processes.

use real_parts::fleet::{Line, Orders, now};
use real_parts::shared_store::Kind;

use crate::{LIFETIME, PROCESSES, World, duration, run_for, turn};

#[tokio::test]
async fn eight_processes_make_one_token_request_for_each_lifetime_of_the_application_s_token() {
    // F3, B1
    let _turn = turn().await;
    let world = World::start_with(Kind::Redis, 0).await;
    let orders = Orders {
        first_user_at: 0.0,
        ..world.orders(PROCESSES)
    };
    let began_at = now();
    let mut fleet = world.fleet_with(PROCESSES, orders);
    run_for(duration().as_secs_f64()).await;
    fleet.stop().await;
    let seconds = (now() - began_at) / 1000.0;

    let mut asked: Vec<_> = fleet
        .lines()
        .into_iter()
        .filter_map(|line| match line {
            // A token's life counts from here (B8), so that it does not matter how long the server
            // took; for the first one it takes longest.
            Line::TokenRequest {
                at,
                took,
                error: None,
                ..
            } => Some(at - took),
            _ => None,
        })
        .collect();
    asked.sort_by(f64::total_cmp);
    let served: Vec<_> = asked
        .windows(2)
        .map(|two| (two[1] - two[0]) / 1000.0)
        .collect();
    let calls = fleet.calls();
    let failed = calls.iter().filter(|call| !call.succeeded()).count();
    let requests = world
        .issuer()
        .count_token_requests("client_credentials")
        .await;
    println!(
        "{} calls, {failed} failed, {requests} token requests; each token served for {served:.2?} s",
        calls.len(),
    );
    assert_eq!(failed, 0);
    assert_eq!(requests, asked.len());
    // A token serves for at least three quarters of its life (B1), and nobody asks for another one
    // before that; 0.05 s are for two clocks that are read one after the other.
    let least = f64::from(LIFETIME) * 0.75 - 0.05;
    assert!(served.iter().all(|time| *time > least), "{served:?}");
    let most = 1 + (seconds / least) as usize;
    assert!((2..=most).contains(&requests), "{requests} requests");
}
