//! `JsonRequest`: a request to an API that answers with JSON whatever the HTTP status.

use std::fmt;

use serde_json::Value;
use url::Url;

use super::{Outbound, OutboundCall, OutboundError, with_query};
use crate::secret::Secret;

/// A request to a JSON API: a GET request, or a POST request if it has a body. `Debug` shows neither query nor
/// body, which may contain secrets.
#[derive(Clone, Copy)]
pub struct JsonRequest<'a> {
    pub url: &'a Url,
    /// Appended to the query of the URL.
    pub query: &'a [(&'a str, &'a str)],
    pub body: Option<&'a Value>,
    /// The access token in the `Authorization` header.
    pub token: Option<&'a Secret<String>>,
}

impl fmt::Debug for JsonRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRequest")
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Sends a request and returns its JSON whatever the status, for APIs whose JSON says what failed. A
    /// response that is not JSON is an error.
    pub async fn call_json_api(
        &self,
        request: JsonRequest<'_>,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let JsonRequest {
            url,
            query,
            body,
            token,
        } = request;
        let url = with_query(url, query);
        let request = match body {
            None => self.pooled.get(url),
            Some(body) => self.pooled.post(url).json(body),
        };
        let request = match token {
            None => request,
            Some(token) => request.bearer_auth(token.expose()),
        };
        let (_, body) = self.exchange(request, call, |_| true).await?;
        Ok(body)
    }
}
