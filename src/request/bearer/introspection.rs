//! `Introspection`: asks an issuer about a token (RFC 7662), with a limit on concurrent requests.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{AcquireError, Semaphore};
use url::{Url, form_urlencoded};

use super::config::{IntrospectionAuth, IntrospectionConfig};
use super::new_token_limits::NewTokenSlot;
use super::{IssuerUnavailable, Refusal, VerifyError};
use crate::clock::{Clock, Timestamp};
use crate::issuer::{Claims, Issuer};
use crate::outbound::{Credentials, Outbound, OutboundCall, OutboundError};
use crate::secret::{Secret, SecretError};
use crate::wording::Text;

/// The maximum number of concurrent introspection requests to an issuer.
pub(super) const INTROSPECTIONS_MAX: u32 = 32;
/// How long a request waits until it may be sent.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long no requests are sent to an unreachable issuer.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The maximum length of a response, in bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

const OUTBOUND_CALL: OutboundCall = OutboundCall::repeatable("the introspection of a token");

/// The introspection client of an issuer. `Debug` does not show the secret.
pub(super) struct Introspection {
    url: Option<Url>,
    client_id: String,
    client_secret: Secret<String>,
    auth: IntrospectionAuth,
    outbound: Outbound,
    clock: Clock,
    permits: Semaphore,
    unreachable_at: Mutex<Option<Timestamp>>,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Introspection {
    pub(super) fn build(
        config: &IntrospectionConfig,
        outbound: &Outbound,
        clock: Clock,
    ) -> Result<Self, SecretError> {
        Ok(Self {
            url: config.url.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.read()?,
            auth: config.client_auth,
            outbound: outbound.with_response_limit(RESPONSE_BYTES_MAX),
            clock,
            permits: Semaphore::new(usize::try_from(INTROSPECTIONS_MAX).unwrap_or(1)),
            unreachable_at: Mutex::default(),
        })
    }

    /// The claims of an active token; null members are removed. A new token first waits until its client may
    /// use one more introspection.
    pub(super) async fn introspect(
        &self,
        issuer: &Issuer,
        token: &str,
        slot: Option<&NewTokenSlot>,
    ) -> Result<Claims, VerifyError> {
        let permits = async {
            let client_permit = match slot {
                Some(slot) => Some(slot.introspection_permit().await?),
                None => None,
            };
            Ok::<_, AcquireError>((client_permit, self.permits.acquire().await?))
        };
        let Ok(Ok(_permits)) = tokio::time::timeout(PERMIT_TIMEOUT, permits).await else {
            return Err(IssuerUnavailable::Overloaded.into());
        };
        if self.is_paused() {
            return Err(IssuerUnavailable::Paused.into());
        }
        let url = self.endpoint(issuer).await?;
        let response = self.send(&url, token).await;
        self.record_reachability(&response);
        let body = response.map_err(IssuerUnavailable::Introspection)?;
        let Value::Object(mut claims) = body else {
            return Err(IssuerUnavailable::InvalidIntrospection.into());
        };
        match claims.get("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Err(Refusal::Inactive.into()),
            _ => return Err(IssuerUnavailable::InvalidIntrospection.into()),
        }
        claims.retain(|_, value| !value.is_null());
        Ok(Claims::new(claims))
    }

    async fn endpoint(&self, issuer: &Issuer) -> Result<Url, VerifyError> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let metadata = issuer.metadata().await.map_err(IssuerUnavailable::Issuer)?;
        let endpoint = metadata.introspection_endpoint.clone();
        Ok(endpoint.ok_or(IssuerUnavailable::NoEndpoint)?)
    }

    async fn send(&self, url: &Url, token: &str) -> Result<Value, OutboundError> {
        let mut form = vec![("token", token), ("token_type_hint", "access_token")];
        let (user, password) = (
            form_encoded(&self.client_id),
            form_encoded(self.client_secret.expose()),
        );
        let credentials = match self.auth {
            IntrospectionAuth::Basic => Credentials::Basic {
                user: user.expose(),
                password: password.expose(),
            },
            IntrospectionAuth::Post => {
                form.push(("client_id", &self.client_id));
                form.push(("client_secret", self.client_secret.expose()));
                Credentials::None
            }
        };
        let response = self
            .outbound
            .post_form(url, &form, credentials, OUTBOUND_CALL)
            .await?;
        // An error response concerns menshen's own credentials and not the token (RFC 7662 §2.3).
        match response.status {
            200 => Ok(response.body),
            status => Err(OutboundError::Status {
                call: OUTBOUND_CALL.name(),
                status,
                content_type: Text::same("JSON"),
            }),
        }
    }

    /// Begins or ends a pause. Only connection failures begin one: an error response to one token must
    /// not block other tokens.
    fn record_reachability(&self, response: &Result<Value, OutboundError>) {
        let is_unreachable = matches!(
            response,
            Err(OutboundError::Connect { .. } | OutboundError::Timeout { .. })
        );
        let mut unreachable_at = self
            .unreachable_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *unreachable_at = is_unreachable.then(|| self.clock.now());
    }

    fn is_paused(&self) -> bool {
        let unreachable_at = self
            .unreachable_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unreachable_at.is_some_and(|at| self.clock.now().since(at) < PAUSE_AFTER_FAILURE)
    }
}

/// Form-encodes the client ID or secret; RFC 6749 §2.3.1 requires this before they are joined.
fn form_encoded(text: &str) -> Secret<String> {
    Secret::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}
