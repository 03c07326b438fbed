//! What a task carries along without passing it on: whose tokens its requests go out with, the token that
//! its caller came with, and which token sources are being refreshed here.
//!
//! Rides on `task-local-extensions`, whose `with_extensions` swaps a task's map in and out around
//! each poll without a guard: a panic would leave the map on the thread, for the next task to
//! find. So the unwinding is caught inside and resumed outside.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use task_local_extensions::{Extensions, get_local_item, with_extensions};

use crate::subject::Subject;
use crate::subject_token::SubjectToken;

/// Names one token source within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceId(pub(crate) u64);

/// What the present task carries. Shared, and nothing where there is nothing: each call has it copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ambient(Option<Arc<Carried>>);

#[derive(Clone, Debug, Default)]
struct Carried {
    refreshing: Option<Arc<[SourceId]>>,
    subject: Option<Subject>,
    subject_token: Option<SubjectToken>,
}

impl Ambient {
    /// Of the task that asks.
    pub(crate) fn current() -> Self {
        // The function is async in name only: it is ready at the first poll.
        get_local_item::<Self>()
            .now_or_never()
            .flatten()
            .unwrap_or_default()
    }

    /// The same, with the mark of a source whose refresh this is. A flight started from within
    /// another source's flight carries both marks.
    #[must_use]
    pub(crate) fn refreshing(self, source: SourceId) -> Self {
        self.change(|carried| {
            let known = carried.refreshing.as_deref().unwrap_or_default();
            let marks = known.iter().copied().chain([source]).collect();
            carried.refreshing = Some(marks);
        })
    }

    /// The same, for this subject.
    #[must_use]
    pub(crate) fn for_subject(self, subject: Subject) -> Self {
        self.change(|carried| carried.subject = Some(subject))
    }

    /// The same, for the caller who came with this token.
    #[must_use]
    pub(crate) fn for_subject_token(self, token: SubjectToken) -> Self {
        self.change(|carried| carried.subject_token = Some(token))
    }

    /// The same, for this subject and this caller, or none.
    #[must_use]
    pub(crate) fn only_for(
        self,
        subject: Option<Subject>,
        subject_token: Option<SubjectToken>,
    ) -> Self {
        self.change(|carried| {
            carried.subject = subject;
            carried.subject_token = subject_token;
        })
    }

    pub(crate) fn subject(&self) -> Option<&Subject> {
        self.0.as_ref()?.subject.as_ref()
    }

    pub(crate) fn subject_token(&self) -> Option<&SubjectToken> {
        self.0.as_ref()?.subject_token.as_ref()
    }

    /// Whether this task is at work for a refresh of `source`.
    #[inline]
    pub(crate) fn is_refreshing(&self, source: SourceId) -> bool {
        let carried = self.0.as_ref();
        carried
            .and_then(|carried| carried.refreshing.as_deref())
            .is_some_and(|marks| marks.contains(&source))
    }

    fn change(mut self, edit: impl FnOnce(&mut Carried)) -> Self {
        edit(Arc::make_mut(self.0.get_or_insert_default()));
        self
    }

    /// Runs `work` with this as what its task carries.
    pub(crate) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        let mut map = Extensions::new();
        map.insert(self);
        let (_, outcome) = with_extensions(map, AssertUnwindSafe(work).catch_unwind()).await;
        match outcome {
            Ok(output) => output,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Subject {
    /// Runs `work`, whose requests go out for this subject unless they name another one.
    ///
    /// Survives a panic in `work`: nothing stays behind on the thread. What `work` spawns inherits
    /// nothing; give a spawned task a scope of its own, or a handle. A response body that is streamed after
    /// the handler has returned is outside of `Subject::run`; make its calls with
    /// [`for_subject`](crate::NamedUserClient::for_subject).
    ///
    /// ```
    /// # async fn handler(orders: reqwest_bearer::NamedUserClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let user = reqwest_bearer::Subject::new("session-4711")?;
    /// let answer = user.run(orders.get("orders/42").send()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "scope")]
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        Ambient::current()
            .for_subject(self.clone())
            .scope(work)
            .await
    }

    /// The subject of the present task: that of the innermost [`run`](Self::run) around it.
    #[must_use]
    pub fn current() -> Option<Self> {
        Ambient::current().subject().cloned()
    }
}

impl SubjectToken {
    /// Runs `work`, whose requests to APIs that want exchanged tokens go out for the caller who came with
    /// this token, unless they name another one. Once for each incoming request, in a web framework's
    /// middleware.
    ///
    /// As [`Subject::run`], it survives a panic in `work`, and what `work` spawns inherits nothing.
    ///
    /// ```
    /// # async fn handler(orders: reqwest_bearer::NamedExchangeClient, token: &str)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let caller = reqwest_bearer::SubjectToken::new(token)?;
    /// let answer = caller.run(orders.get("orders/42").send()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "scope")]
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        Ambient::current()
            .for_subject_token(self.clone())
            .scope(work)
            .await
    }

    /// The token that the caller of the present task came with: that of the innermost
    /// [`run`](Self::run) around it.
    #[must_use]
    pub fn current() -> Option<Self> {
        Ambient::current().subject_token().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ambient, SourceId};

    const SOURCE: SourceId = SourceId(1);

    #[tokio::test]
    async fn a_mark_is_seen_inside_its_scope_and_nowhere_else() {
        // E1
        assert!(!Ambient::current().is_refreshing(SOURCE));
        Ambient::default()
            .refreshing(SOURCE)
            .scope(async {
                assert!(Ambient::current().is_refreshing(SOURCE));
                assert!(!Ambient::current().is_refreshing(SourceId(2)));
                let both = Ambient::current().refreshing(SourceId(2));
                both.scope(async {
                    assert!(Ambient::current().is_refreshing(SOURCE));
                    assert!(Ambient::current().is_refreshing(SourceId(2)));
                })
                .await;
                // F1: what is spawned inherits nothing.
                let spawned = tokio::spawn(async { Ambient::current().is_refreshing(SOURCE) });
                assert!(!spawned.await.unwrap());
            })
            .await;
        assert!(!Ambient::current().is_refreshing(SOURCE));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_in_a_scope_leaves_nothing_for_the_next_task_on_the_thread() {
        // F1
        let panics = tokio::spawn(Ambient::default().refreshing(SOURCE).scope(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        }));
        assert!(panics.await.is_err());
        let next = tokio::spawn(async { Ambient::current().is_refreshing(SOURCE) });
        assert!(!next.await.unwrap());
    }
}
