//! What a status of HTTP means for the events that were sent.

use std::collections::BTreeMap;

/// What a sink does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusAction {
    /// The events leave the channel.
    Accept,
    /// The events leave the channel, and nothing is sent for a while: a second, and a second more for each such answer
    /// in a row, up to five.
    AcceptThenPause,
    /// The events come again after a pause: an error of the kind [`SinkError::Retry`](crate::sink::SinkError::Retry).
    Retry,
    /// The events can never be delivered: an error of the kind
    /// [`SinkError::Permanent`](crate::sink::SinkError::Permanent), so that the agent's policy for such events applies.
    Reject,
}

/// Actions by status, by class of statuses, and for all others.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    codes: BTreeMap<u16, StatusAction>,
    // By the first digit.
    classes: BTreeMap<u16, StatusAction>,
    rest: StatusAction,
}

impl Rules {
    /// What is good is accepted. Statuses that blame the content of the request are the events' own; all others can be
    /// mended at the server or at the endpoint that is configured, so that the events wait for it.
    pub(super) fn new() -> Self {
        let codes = [400, 413, 415, 422].map(|code| (code, StatusAction::Reject));
        let classes = [(2, StatusAction::Accept)];
        Self { codes: codes.into(), classes: classes.into(), rest: StatusAction::Retry }
    }

    /// No rules but one for all.
    pub(super) fn all(action: StatusAction) -> Self {
        Self { codes: BTreeMap::new(), classes: BTreeMap::new(), rest: action }
    }

    pub(super) fn set_code(&mut self, code: u16, action: StatusAction) {
        self.codes.insert(code, action);
    }

    /// `class` is the first digit. Statuses of the class that have a rule of the crate's own lose it.
    pub(super) fn set_class(&mut self, class: u16, action: StatusAction) {
        self.classes.insert(class, action);
        self.codes.retain(|code, _| code / 100 != class);
    }

    /// The most specific rule.
    pub(super) fn action(&self, status: u16) -> StatusAction {
        let found = self.codes.get(&status).or_else(|| self.classes.get(&(status / 100)));
        found.copied().unwrap_or(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::StatusAction::{Accept, AcceptThenPause, Reject, Retry};
    use super::*;

    #[test]
    fn the_most_specific_rule_counts() {
        let mut rules = Rules::new();
        for (status, action) in [
            (200, Accept),
            (204, Accept),
            (301, Retry),
            (400, Reject),
            (401, Retry),
            (404, Retry),
            (413, Reject),
            (503, Retry),
        ] {
            assert_eq!(rules.action(status), action, "{status}");
        }
        rules.set_class(4, Accept);
        rules.set_code(404, AcceptThenPause);
        assert_eq!([400, 404, 499, 500].map(|status| rules.action(status)), [Accept, AcceptThenPause, Accept, Retry]);
        let rules = Rules::all(Reject);
        assert_eq!([100, 200, 599].map(|status| rules.action(status)), [Reject; 3]);
    }
}
