//! What the example prints, and whether everything came out as promised.

use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// How a step ends if it could not be carried through.
pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Counts what was checked, and what did not hold.
pub(crate) struct Report {
    began: Instant,
    steps: Cell<usize>,
    checks: Cell<usize>,
    failures: Cell<usize>,
}

impl Report {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            steps: Cell::new(0),
            checks: Cell::new(0),
            failures: Cell::new(0),
        }
    }

    /// Prints the title, does the work, and goes on whatever became of it.
    pub(crate) async fn step(&self, title: &str, work: impl Future<Output = Outcome>) {
        self.steps.set(self.steps.get() + 1);
        println!("\n{}  {title}", self.steps.get());
        if let Err(error) = work.await {
            self.check(false, format!("the step broke off: {error}"));
        }
    }

    /// Prints a fact that promises nothing.
    pub(crate) fn say(&self, fact: impl AsRef<str>) {
        println!("   {:<8}{}", "", fact.as_ref());
    }

    /// Prints a fact, and whether it is as promised.
    pub(crate) fn check(&self, holds: bool, fact: impl AsRef<str>) {
        self.checks.set(self.checks.get() + 1);
        if !holds {
            self.failures.set(self.failures.get() + 1);
        }
        let verdict = if holds { "ok" } else { "FAILED" };
        println!("   {verdict:<8}{}", fact.as_ref());
    }

    /// Prints the sum; the exit code says whether every check held.
    pub(crate) fn conclude(self) -> ExitCode {
        let (steps, checks, failures) = (self.steps.get(), self.checks.get(), self.failures.get());
        let seconds = self.began.elapsed().as_secs_f64();
        println!();
        if failures == 0 {
            println!("All {steps} steps came out as promised: {checks} checks in {seconds:.1} s.");
            ExitCode::SUCCESS
        } else {
            println!("FAILED: {failures} of {checks} checks, in {steps} steps and {seconds:.1} s.");
            ExitCode::FAILURE
        }
    }
}
