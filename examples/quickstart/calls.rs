//! Many calls of an API: all at once, or one after the other at a steady pace.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use reqwest_bearer::{Error, NamedClient};
use tokio::task::JoinSet;

/// What became of many calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// How many ended with this status, or without an answer.
    endings: BTreeMap<String, usize>,
    slowest: Duration,
}

/// Begins all calls before the first is answered.
pub(crate) async fn at_once(client: &NamedClient, path: &str, count: usize) -> Calls {
    let mut under_way = JoinSet::new();
    for _ in 0..count {
        under_way.spawn(call(client.clone(), path.to_owned()));
    }
    gather(under_way).await
}

/// Begins a call at every tick, whether or not the one before is answered.
pub(crate) async fn steadily(
    client: &NamedClient,
    path: &str,
    tick: Duration,
    until: SystemTime,
) -> Calls {
    let mut under_way = JoinSet::new();
    let mut ticks = tokio::time::interval(tick);
    while SystemTime::now() < until {
        ticks.tick().await;
        under_way.spawn(call(client.clone(), path.to_owned()));
    }
    gather(under_way).await
}

impl Calls {
    /// Whether every call was answered with this status.
    pub(crate) fn all_are(&self, status: u16) -> bool {
        self.endings.len() == 1 && self.endings.contains_key(&status.to_string())
    }

    /// How long the slowest took, from the caller's side.
    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }

    pub(crate) fn count(&self) -> usize {
        self.endings.values().sum()
    }
}

impl fmt::Display for Calls {
    /// `998 x 200, 2 x Unavailable`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (ending, count) in &self.endings {
            write!(formatter, "{separator}{count} x {ending}")?;
            separator = ", ";
        }
        Ok(())
    }
}

async fn call(client: NamedClient, path: String) -> (String, Duration) {
    let began = Instant::now();
    let ending = match client.get(path).send().await {
        Ok(response) => response.status().as_u16().to_string(),
        Err(error) => match Error::find_in(&error) {
            Some(own) => format!("{:?}", own.kind()),
            None => "no answer".to_owned(),
        },
    };
    (ending, began.elapsed())
}

async fn gather(under_way: JoinSet<(String, Duration)>) -> Calls {
    let mut calls = Calls::default();
    for (ending, took) in under_way.join_all().await {
        *calls.endings.entry(ending).or_default() += 1;
        calls.slowest = calls.slowest.max(took);
    }
    calls
}
