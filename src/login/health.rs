//! `ConnectorHealth`: when a source last answered, and the last problem with it.

use std::sync::{Arc, Mutex, PoisonError};

use super::connector::ConnectorError;
use crate::clock::Timestamp;
use crate::people::person_lookup::LookupError;
use crate::telemetry::error_chain;
use crate::wording::Text;

/// The remedy of a problem that the source does not explain.
const CHECK_REMEDY: Text = Text::fixed(
    "run `menshen check --online` on this machine: it calls the source and says what is wrong",
    "请在本机运行 `menshen check --online`：它会访问认证源，并说明问题所在",
);

/// What menshen has seen of a source since its start. Clones share it; a reload of the configuration keeps
/// it.
#[derive(Clone, Debug, Default)]
pub struct ConnectorHealth(Arc<Mutex<HealthReport>>);

/// When a source last answered, and the last problem with it.
#[derive(Clone, Debug, Default)]
pub struct HealthReport {
    /// When the source last answered as its protocol demands; a refused person is such an answer.
    pub answered_at: Option<Timestamp>,
    pub last_problem: Option<SourceProblem>,
}

/// A call that failed for another reason than the person.
#[derive(Clone, Debug)]
pub struct SourceProblem {
    pub at: Timestamp,
    /// The error with its causes. Holds no secret.
    pub error: Text,
    /// What the administrator can do.
    pub remedy: Text,
    /// Whether the source did not answer at all.
    pub is_no_response: bool,
}

impl ConnectorHealth {
    pub fn report(&self) -> HealthReport {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Records the result of a call to the source.
    pub fn record<T>(&self, result: &Result<T, ConnectorError>, at: Timestamp) {
        match result {
            Ok(_) => self.record_answer(at),
            Err(error) => self.record_error(error, at),
        }
    }

    /// Records that a call to the source failed. What a browser brought says nothing about the source.
    pub(super) fn record_error(&self, error: &ConnectorError, at: Timestamp) {
        if error.is_of_browser() {
            return;
        }
        match problem(error, at) {
            None => self.record_answer(at),
            Some(problem) => self.record_problem(problem),
        }
    }

    /// Records the result of a question about a person.
    pub(super) fn record_lookup<T>(&self, result: &Result<T, LookupError>, at: Timestamp) {
        match result {
            Ok(_) => self.record_answer(at),
            // The source was not asked.
            Err(LookupError::OtherOrganisation) => {}
            Err(LookupError::Unavailable(error)) => match error.downcast_ref::<ConnectorError>() {
                Some(error) => self.record_error(error, at),
                None => self.record_problem(SourceProblem {
                    at,
                    error: Text::of(&error_chain(&**error)),
                    remedy: CHECK_REMEDY,
                    is_no_response: false,
                }),
            },
        }
    }

    fn record_answer(&self, at: Timestamp) {
        let mut report = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        report.answered_at = report.answered_at.max(Some(at));
    }

    fn record_problem(&self, problem: SourceProblem) {
        let mut report = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        report.last_problem = Some(problem);
    }
}

impl HealthReport {
    /// Whether the source can be reached, as far as the last call shows; `None` if there was no call.
    pub fn is_reachable(&self) -> Option<bool> {
        match (&self.last_problem, self.answered_at) {
            (None, None) => None,
            (None, Some(_)) => Some(true),
            (Some(problem), answered_at) => {
                let answered_later = answered_at.is_some_and(|answer| answer > problem.at);
                Some(answered_later || !problem.is_no_response)
            }
        }
    }
}

/// The problem with the source, unless the error concerns the person or the code alone.
fn problem(error: &ConnectorError, at: Timestamp) -> Option<SourceProblem> {
    let remedy = match error {
        ConnectorError::CodeRejected(_)
        | ConnectorError::LoginExpired(_)
        | ConnectorError::Refused { .. } => return None,
        ConnectorError::Misconfigured { remedy, .. } => remedy.clone(),
        ConnectorError::Busy(_) => Text::fixed(
            "wait; if it lasts, find out which other programs call the source with the same application",
            "请等待；如果一直如此，请查明还有哪些程序用同一个应用访问认证源",
        ),
        ConnectorError::InvalidResponse(_)
        | ConnectorError::Unavailable(_)
        | ConnectorError::NoUsableResponse(_)
        | ConnectorError::MetadataUnavailable(_)
        | ConnectorError::Issuer(_) => CHECK_REMEDY,
    };
    Some(SourceProblem {
        at,
        error: Text::of(&error_chain(error)),
        remedy,
        is_no_response: error.is_no_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::connector::{RefusalReason, SourceRefusal, brought};
    use crate::wording::Text;

    fn refusal() -> SourceRefusal {
        SourceRefusal {
            call: "user/get",
            code: 40001,
            message: "no".to_owned(),
        }
    }

    #[test]
    fn a_refused_person_shows_that_the_source_answers() {
        let health = ConnectorHealth::default();
        assert_eq!(health.report().is_reachable(), None);
        let at = Timestamp::from_unix_s(7);
        let refused = ConnectorError::Refused {
            why: RefusalReason::NotMember,
            source: refusal(),
        };
        health.record::<()>(&Err(refused), at);
        let report = health.report();
        assert_eq!(report.answered_at, Some(at));
        assert!(report.last_problem.is_none());
        assert_eq!(report.is_reachable(), Some(true));
    }

    #[test]
    fn what_a_browser_brings_says_nothing_about_the_source() {
        let health = ConnectorHealth::default();
        let source = || SourceRefusal::fault(brought::CALLBACK, "as the browser says");
        for error in [
            ConnectorError::InvalidResponse(source()),
            ConnectorError::Busy(source()),
            ConnectorError::Misconfigured {
                remedy: Text::same("no"),
                source: source(),
            },
            ConnectorError::Refused {
                why: RefusalReason::Declined,
                source: source(),
            },
        ] {
            health.record::<()>(&Err(error), Timestamp::from_unix_s(7));
        }
        assert_eq!(health.report().is_reachable(), None);
        let of_source = ConnectorError::InvalidResponse(refusal());
        health.record::<()>(&Err(of_source), Timestamp::from_unix_s(7));
        assert!(health.report().last_problem.is_some());
    }

    #[test]
    fn a_wrong_setting_is_a_problem_with_its_remedy_until_the_end() {
        let health = ConnectorHealth::default();
        let wrong = ConnectorError::Misconfigured {
            remedy: Text::same("copy the secret again"),
            source: refusal(),
        };
        health.record::<()>(&Err(wrong), Timestamp::from_unix_s(7));
        health.record(&Ok(()), Timestamp::from_unix_s(8));
        let report = health.report();
        let problem = report.last_problem.clone().unwrap();
        assert_eq!(problem.remedy.to_string(), "copy the secret again");
        let error = problem.error.to_string();
        assert!(error.contains("40001"), "{error}");
        assert_eq!(report.answered_at, Some(Timestamp::from_unix_s(8)));
        assert_eq!(report.is_reachable(), Some(true));
    }
}
