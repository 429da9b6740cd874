//! `ConfiguredRequest`: a request whose parts a configuration describes.

use std::fmt;

use http::HeaderMap;
use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use super::{Outbound, OutboundCall, OutboundError, with_query};

/// A request for JSON. `Debug` shows neither its values nor its URL.
#[derive(Clone)]
pub struct ConfiguredRequest<'a> {
    pub url: &'a Url,
    /// Appended to the query of the URL.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: RequestBody,
}

/// The method of a request, and its body.
#[derive(Clone)]
pub enum RequestBody {
    Get,
    Form(Vec<(String, String)>),
    Json(Value),
}

impl fmt::Debug for ConfiguredRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredRequest")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "Get",
            Self::Form(_) => "Form(..)",
            Self::Json(_) => "Json(..)",
        })
    }
}

impl Outbound {
    /// Sends a request and returns its JSON response, whose status must be 2xx.
    pub async fn send_json(
        &self,
        request: ConfiguredRequest<'_>,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let query = request.query.iter();
        let query: Vec<_> = query.map(|(name, value)| (&**name, &**value)).collect();
        let url = with_query(request.url, &query);
        let sent = match &request.body {
            RequestBody::Get => self.pooled.get(url),
            RequestBody::Form(fields) => self.pooled.post(url).form(fields),
            RequestBody::Json(body) => self.pooled.post(url).json(body),
        };
        let sent = sent.headers(request.headers);
        let is_success = |status: StatusCode| status.is_success();
        let (_, body) = self.exchange(sent, call, is_success).await?;
        Ok(body)
    }
}
