//! `OwnTenant`: the tenant whose people count.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::SourceRefusal;
use super::super::kit::app_token::CallError;
use super::api::TENANT_QUERY;
use super::errors::{ApiError, TENANT_TOKEN};
use crate::clock::Clock;
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::single_flight::{CacheLookup, Cached};

/// How long Lark is not asked again after it refused to name the tenant, and after any other failure.
const REFUSAL_PAUSE: Duration = Duration::from_secs(60);
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// The tenant of the settings, or that of the application, which Lark names once.
#[derive(Debug)]
pub(super) struct OwnTenant {
    key: Cached<Arc<str>, KeptFailure>,
    clock: Clock,
}

/// The last failure, for everybody who asks before its pause ends.
#[derive(Clone, Debug)]
enum KeptFailure {
    Refused(SourceRefusal),
    NoUsableResponse,
}

impl OwnTenant {
    pub(super) fn new(configured: Option<&str>, clock: Clock) -> Self {
        let key = Cached::new(clock.clone());
        if let Some(configured) = configured {
            key.set(Arc::from(configured), Duration::ZERO);
        }
        Self { key, clock }
    }

    /// The tenant, if it is known already.
    pub(super) fn known(&self) -> Option<Arc<str>> {
        self.key.latest().map(|latest| latest.value)
    }

    /// The tenant; `ask` is called if it is not known. Concurrent callers share one question, and none waits
    /// longer than one call may take.
    pub(super) async fn get<F>(&self, ask: impl FnOnce() -> F) -> Result<Arc<str>, ApiError>
    where
        F: Future<Output = Result<String, ApiError>>,
    {
        let late = || ApiError::from(OutboundError::Timeout { call: TENANT_QUERY });
        // The tenant of an application never changes.
        let permit = match timeout(CALL_TIMEOUT, self.key.get_if(|_| true)).await {
            Ok(CacheLookup::Value(key)) => return Ok(key),
            Ok(CacheLookup::RecentFailure(failure)) => return Err(failure.into()),
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Err(_) => return Err(late()),
        };
        let asked = timeout(CALL_TIMEOUT, ask()).await;
        match asked.unwrap_or_else(|_| Err(late())) {
            Ok(key) => Ok(permit.store(Arc::from(key), Duration::ZERO)),
            Err(error) => {
                let (failure, pause) = self.kept(&error);
                permit.fail(failure, pause);
                Err(error)
            }
        }
    }

    fn kept(&self, error: &ApiError) -> (KeptFailure, Duration) {
        let refusal = match error {
            ApiError::NoUsableResponse(_) => return (KeptFailure::NoUsableResponse, FAILURE_PAUSE),
            ApiError::Refused(refusal) => refusal.clone(),
        };
        // A refusal to issue the application's token is kept there.
        if error.lasting_refusal().is_none() || refusal.call == TENANT_TOKEN {
            return (KeptFailure::Refused(refusal), FAILURE_PAUSE);
        }
        let until = self.clock.now().plus(REFUSAL_PAUSE);
        let message = format!("{}, and no new request before {until}", refusal.message);
        let refusal = SourceRefusal { message, ..refusal };
        (KeptFailure::Refused(refusal), REFUSAL_PAUSE)
    }
}

impl From<KeptFailure> for ApiError {
    fn from(failure: KeptFailure) -> Self {
        match failure {
            KeptFailure::Refused(refusal) => refusal.into(),
            KeptFailure::NoUsableResponse => OutboundError::Pausing { call: TENANT_QUERY }.into(),
        }
    }
}
