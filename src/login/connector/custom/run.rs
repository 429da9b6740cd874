//! `StepRunner`: sends the requests of the steps, and keeps the answers that all logins share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::error::{Fault, StepError};
use super::step::Step;
use super::variables::{Answers, LoginInput, LoginVariables, StepAnswer};
use crate::clock::{Clock, Timestamp};
use crate::expression::{Document, Value};
use crate::login::connector::kit::app_token::usable_lifetime;
use crate::outbound::{AcceptedStatus, CALL_TIMEOUT, Outbound, OutboundError};
use crate::single_flight::{CacheLookup, Cached, CachedValue};

/// The longest time for which an answer is kept.
const CACHE_MAX: Duration = Duration::from_secs(86_400);

/// How long after kept answers were fetched anew none is fetched anew again, so that invalid codes do not use
/// up the limits of the portal. It doubles with each time that did not help, up to the longest pause.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
const RENEWAL_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The steps of one portal.
#[derive(Debug)]
pub(super) struct StepRunner {
    steps: Vec<Step>,
    /// The kept answers, by the index of the step.
    kept: Vec<Cached<Arc<Document>, Arc<StepError>>>,
    renewals: Mutex<Renewals>,
    secrets: Document,
    outbound: Outbound,
    clock: Clock,
}

/// When kept answers were last fetched anew.
#[derive(Debug, Default)]
struct Renewals {
    latest: Option<Timestamp>,
    /// How many times in a row did not help.
    useless: u32,
}

impl Renewals {
    fn pause(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.useless.saturating_sub(1));
        let pause = RENEWAL_PAUSE.saturating_mul(factor.unwrap_or(u32::MAX));
        pause.min(RENEWAL_PAUSE_MAX)
    }
}

impl StepRunner {
    pub(super) fn new(
        steps: Vec<Step>,
        secrets: Document,
        outbound: Outbound,
        clock: Clock,
    ) -> Self {
        Self {
            kept: steps.iter().map(|_| Cached::new(clock.clone())).collect(),
            steps,
            renewals: Mutex::default(),
            secrets,
            outbound,
            clock,
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The variables after these answers.
    pub(super) fn variables<'a>(
        &'a self,
        input: &'a LoginInput,
        answers: &'a [StepAnswer],
    ) -> LoginVariables<'a> {
        LoginVariables {
            input,
            secrets: &self.secrets,
            answers: Answers {
                steps: &self.steps,
                answers,
            },
            answer: None,
        }
    }

    /// Runs all steps. If the portal refuses one after an answer of another login was used, such answers are
    /// fetched anew once.
    pub(super) async fn run(&self, input: &LoginInput) -> Result<Vec<StepAnswer>, StepError> {
        let mut answers = Vec::with_capacity(self.steps.len());
        let mut may_renew = true;
        for index in 0..self.steps.len() {
            let mut result = self.answer(index, input, &answers, None).await;
            let is_new_refusal =
                |error: &StepError| error.is_refusal() && error.kept_until.is_none();
            let is_refused = result.as_ref().is_err_and(is_new_refusal);
            let used_kept = answers.iter().any(|answer: &StepAnswer| answer.from_cache);
            if is_refused && used_kept && may_renew && self.may_renew() {
                may_renew = false;
                self.renew(input, &mut answers).await?;
                self.kept[index].end_pause();
                result = self.answer(index, input, &answers, None).await;
                if result.is_ok() {
                    self.renewals().useless = 0;
                }
            }
            let answer = result?;
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Runs the steps that are the same for everybody, until one fails.
    pub(super) async fn run_shared(&self, input: &LoginInput) -> Vec<Result<(), StepError>> {
        let (mut answers, mut results) = (Vec::new(), Vec::new());
        let shared = self.steps.iter().take_while(|step| !step.reads.is_personal);
        for (index, _) in shared.enumerate() {
            let result = self.answer(index, input, &answers, None).await;
            results.push(result.map(|answer| answers.push(answer)));
            if answers.len() <= index {
                break;
            }
        }
        results
    }

    /// Whether kept answers may be fetched anew now. Counts as useless until it helps.
    fn may_renew(&self) -> bool {
        let now = self.clock.now();
        let mut renewals = self.renewals();
        let pause = renewals.pause();
        if renewals.latest.is_some_and(|at| now.since(at) < pause) {
            return false;
        }
        renewals.latest = Some(now);
        renewals.useless = renewals.useless.saturating_add(1);
        true
    }

    fn renewals(&self) -> MutexGuard<'_, Renewals> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the answers anew that came from other logins, and those that depend on them.
    async fn renew(&self, input: &LoginInput, answers: &mut [StepAnswer]) -> Result<(), StepError> {
        let mut renewed = vec![false; answers.len()];
        for index in 0..answers.len() {
            let step = &self.steps[index];
            let old = &answers[index];
            let depends = step.reads.steps.iter().any(|earlier| renewed[*earlier]);
            if !old.from_cache && !depends {
                continue;
            }
            let rejected = Arc::clone(&old.document);
            let new = self.answer(index, input, &answers[..index], Some(&rejected));
            answers[index] = new.await?;
            renewed[index] = true;
        }
        Ok(())
    }

    /// The answer of a step: a kept one other than `rejected`, or that of a request. A failure is kept for all
    /// logins, unless there is an answer that may still be good.
    async fn answer(
        &self,
        index: usize,
        input: &LoginInput,
        answers: &[StepAnswer],
        rejected: Option<&Arc<Document>>,
    ) -> Result<StepAnswer, StepError> {
        let step = &self.steps[index];
        let variables = self.variables(input, answers);
        if !step.is_cached() {
            let (document, _) = self.request(step, variables).await?;
            return Ok(StepAnswer {
                document: Arc::new(document),
                from_cache: false,
            });
        }
        let is_usable = |kept: &CachedValue<Arc<Document>>| {
            let is_rejected = rejected.is_some_and(|old| Arc::ptr_eq(&kept.value, old));
            !is_rejected && self.clock.now() < kept.fresh_until
        };
        let found = timeout(CALL_TIMEOUT, self.kept[index].get_if(is_usable));
        let permit = match found.await {
            Ok(CacheLookup::Value(document)) => {
                return Ok(StepAnswer {
                    document,
                    from_cache: true,
                });
            }
            Ok(CacheLookup::RecentFailure(failure)) => return Err(failure.again()),
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Err(_) => {
                let timeout = OutboundError::Timeout { call: step.call };
                return Err(step.error(Fault::Exchange(timeout)));
            }
        };
        let requested_at = self.clock.now();
        let (document, lifetime) = match self.request(step, variables).await {
            Ok(answer) => answer,
            Err(error) => {
                if let (None, Some(pause)) = (rejected, error.pause()) {
                    let kept_until = Some(self.clock.now().plus(pause));
                    let failure = StepError {
                        kept_until,
                        ..error.again()
                    };
                    permit.fail(Arc::new(failure), pause);
                }
                return Err(error);
            }
        };
        let age = self.clock.now().since(requested_at);
        let fresh_for = usable_lifetime(lifetime.min(CACHE_MAX)).saturating_sub(age);
        Ok(StepAnswer {
            document: permit.store(Arc::new(document), fresh_for),
            from_cache: false,
        })
    }

    /// Sends the request of a step. Returns its answer, and for how long it may be kept.
    async fn request(
        &self,
        step: &Step,
        variables: LoginVariables<'_>,
    ) -> Result<(Document, Duration), StepError> {
        let request = step.request(&variables)?;
        let (accepted, call) = (AcceptedStatus::Success, step.outbound_call());
        let answer = self.outbound.send_json(request, accepted, call).await;
        let answer = answer.map_err(|error| step.error(Fault::Exchange(error)))?;
        let document = Document::from(&answer.body);
        let variables = LoginVariables {
            answer: Some(&document),
            ..variables
        };
        step.check_success(&variables)?;
        let lifetime = match &step.cache {
            None => Duration::ZERO,
            Some(cache) => match cache.evaluate(&variables) {
                Ok(value) => seconds(&value).ok_or_else(|| step.error(Fault::NotSeconds))?,
                Err(source) => return Err(step.no_value("cache", source)),
            },
        };
        Ok((document, lifetime))
    }
}

/// A number of seconds, also as a text of digits. A negative one is zero.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Int(seconds) => *seconds,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            return None;
        }
    };
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
