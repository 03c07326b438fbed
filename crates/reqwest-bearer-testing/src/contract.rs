//! A contract: sentences that hold, each with a check, and those that turn out not to.

use std::any::Any;
use std::fmt;
use std::pin::Pin;

use crate::limit::{LIMIT, soon};

/// A sentence of a contract, and what panics where it does not hold.
pub(crate) struct Sentence {
    says: &'static str,
    check: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Sentence {
    pub(crate) fn new(
        says: &'static str,
        check: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            says,
            check: Box::pin(check),
        }
    }
}

/// A sentence of a contract that does not hold, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenPromise {
    sentence: &'static str,
    how: String,
}

impl BrokenPromise {
    /// The sentence that does not hold, such as "a lease has one owner".
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.sentence
    }

    /// How that was seen, in the words of the check that failed.
    #[must_use]
    pub fn how(&self) -> &str {
        &self.how
    }
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.sentence, self.how)
    }
}

/// Those of the sentences that do not hold, each tried for itself, one after the other. The line of the
/// check that failed is printed as it happens.
pub(crate) async fn broken(sentences: Vec<Sentence>) -> Vec<BrokenPromise> {
    let mut broken = Vec::new();
    for Sentence { says, check } in sentences {
        // A task of its own, which a panic ends alone.
        let how = match tokio::spawn(soon(check)).await {
            Ok(Some(())) => continue,
            Ok(None) => format!("it hangs: nothing came of it within {LIMIT:?}"),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => words(&*panic),
                Err(_) => "the runtime was shut down".to_owned(),
            },
        };
        broken.push(BrokenPromise {
            sentence: says,
            how,
        });
    }
    broken
}

/// # Panics
/// If there is one.
#[expect(clippy::panic, reason = "that is how a test fails")]
pub(crate) fn fail_if_any(broken: &[BrokenPromise]) {
    if !broken.is_empty() {
        let lines: Vec<_> = broken.iter().map(|one| format!("\n- {one}")).collect();
        panic!("these promises are broken:{}", lines.concat());
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}
