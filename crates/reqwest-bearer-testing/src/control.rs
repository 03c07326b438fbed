//! What a test tells a fake server to do, and what the server saw.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::answer::{Answer, Kind, Whole};
use crate::gate::{Gate, Place};
use crate::http_server::lock;
use crate::limit::{LIMIT, soon};
use crate::seen::SeenRequest;

#[derive(Debug, Default)]
pub(crate) struct Control {
    next: Mutex<VecDeque<Answer>>,
    always: Mutex<Option<Answer>>,
    gate: Arc<Place>,
    seen: watch::Sender<Vec<SeenRequest>>,
}

impl Control {
    pub(crate) fn next(&self, answer: Answer) {
        lock(&self.next).push_back(answer);
    }

    pub(crate) fn always(&self, answer: Option<Answer>) {
        *lock(&self.always) = answer;
    }

    /// Forgets what it was told.
    pub(crate) fn as_usual(&self) {
        lock(&self.next).clear();
        self.always(None);
    }

    pub(crate) fn hold(&self) -> Gate {
        Gate::close(&self.gate)
    }

    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    /// Returns as soon as so many requests have come since the start.
    ///
    /// # Panics
    /// If they do not come in time. With what did come.
    pub(crate) async fn until_seen(&self, count: usize, what: &str) {
        let mut seen = self.seen.subscribe();
        let come = soon(seen.wait_for(|seen| seen.len() >= count)).await;
        let come = come.is_some();
        assert!(
            come,
            "{count} {what} were not made within {LIMIT:?}, but {:#?}",
            self.seen()
        );
    }

    /// The answer to this request, where `usual` is what the server would say; `None` cuts the connection.
    pub(crate) async fn answer(
        &self,
        request: SeenRequest,
        usual: impl FnOnce(&SeenRequest) -> Answer,
    ) -> Option<Whole> {
        let told = lock(&self.next).pop_front();
        let told = told.or_else(|| lock(&self.always).clone());
        let gate = lock(&self.gate).clone();
        self.seen.send_modify(|seen| seen.push(request.clone()));
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let answer = match told {
            Some(Answer(Kind::Lost)) => {
                usual(&request);
                return None;
            }
            None | Some(Answer(Kind::AsUsual)) => usual(&request),
            Some(told) => told,
        };
        match answer.0 {
            Kind::Whole(answer) => Some(answer),
            Kind::Never => std::future::pending().await,
            Kind::AsUsual | Kind::Cut | Kind::Lost => None,
        }
    }
}
