//! The time limit of the API calls of one login, or about one person.

use std::time::Duration;

use tokio::time::timeout;

use super::super::ConnectorError;
use crate::outbound::OutboundError;

/// What the error names that a login took too long, however many calls it made.
pub(crate) const WHOLE_LOGIN: &str = "the whole login";

/// The time limit. Each call has a shorter one of its own.
const TIME_LIMIT: Duration = Duration::from_secs(25);

/// Makes API calls until the limit. `call` is named if they take longer.
pub(crate) async fn within_limit<T>(
    call: &'static str,
    asking: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    let late = |_| {
        Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
            call,
        }))
    };
    timeout(TIME_LIMIT, asking).await.unwrap_or_else(late)
}
