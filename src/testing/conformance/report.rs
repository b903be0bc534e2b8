//! The outcome of a run of the suite.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{CASES, ChannelFactory};

/// The outcome of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaseResult {
    /// The channel passed.
    Passed,
    /// The case needs a durable channel.
    NotApplicable,
    /// The channel failed, and why.
    Failed(String),
}

/// The outcome of the suite: each case by name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The cases, in the order in which they ran.
    pub results: Vec<(&'static str, CaseResult)>,
}

impl Report {
    /// Whether no case failed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        !self.results.iter().any(|(_, result)| matches!(result, CaseResult::Failed(_)))
    }

    fn count(&self, of: fn(&CaseResult) -> bool) -> usize {
        self.results.iter().filter(|(_, result)| of(result)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.count(|result| *result == CaseResult::Passed);
        let skipped = self.count(|result| *result == CaseResult::NotApplicable);
        let failed = self.results.len() - passed - skipped;
        write!(f, "{passed} cases passed, {failed} failed, {skipped} need a durable channel")?;
        for (name, result) in &self.results {
            if let CaseResult::Failed(why) = result {
                write!(f, "\n{name}: {why}")?;
            }
        }
        Ok(())
    }
}

/// Runs all cases on the channels of a factory, those after a failure too.
#[must_use]
pub fn run(factory: &dyn ChannelFactory) -> Report {
    let mut report = Report::default();
    for case in CASES {
        // Nothing of a failed case is used again: the next one opens channels of its own.
        let result = match catch_unwind(AssertUnwindSafe(|| case.run(factory))) {
            Ok(true) => CaseResult::Passed,
            Ok(false) => CaseResult::NotApplicable,
            Err(panic) => CaseResult::Failed(message(panic.as_ref())),
        };
        report.results.push((case.name, result));
    }
    report
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
