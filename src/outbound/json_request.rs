//! `JsonRequest`: a request to an API that answers with JSON, perhaps also with another status than 200.

use std::fmt;

use http::HeaderMap;
use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use super::{JsonResponse, Outbound, OutboundCall, OutboundError, may_have_json_body, with_query};
use crate::secret::Secret;

/// A request to a JSON API. `Debug` shows neither its values nor its query.
#[derive(Clone)]
pub struct JsonRequest<'a> {
    pub url: &'a Url,
    /// Appended to the query of the URL.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub token: RequestToken<'a>,
    pub body: RequestBody,
}

/// The method of a request, and its body.
#[derive(Clone)]
pub enum RequestBody {
    Get,
    Form(Vec<(String, String)>),
    Json(Value),
}

/// How a request carries an access token in a header.
#[derive(Clone, Copy)]
pub enum RequestToken<'a> {
    None,
    /// In `Authorization` (RFC 6750).
    Bearer(&'a Secret<String>),
    /// Alone, in the header with this name.
    Header(&'static str, &'a Secret<String>),
}

/// The statuses of a response whose JSON counts. Any other is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedStatus {
    /// 2xx.
    Success,
    /// 2xx, or 4xx with JSON that says why.
    SuccessOrRefusal,
    /// Any, because the JSON says whether the call succeeded.
    Any,
}

impl<'a> JsonRequest<'a> {
    /// A GET request without a query.
    pub fn get(url: &'a Url) -> Self {
        Self {
            url,
            query: Vec::new(),
            headers: HeaderMap::new(),
            token: RequestToken::None,
            body: RequestBody::Get,
        }
    }

    /// The same request with further pairs in its query.
    pub fn with_query(mut self, query: &[(&str, &str)]) -> Self {
        self.query.extend(owned(query));
        self
    }

    /// The same request with a token.
    pub fn with_token(self, token: RequestToken<'a>) -> Self {
        Self { token, ..self }
    }

    /// A POST request with a form.
    pub fn post_form(url: &'a Url, form: &[(&str, &str)]) -> Self {
        Self {
            body: RequestBody::Form(owned(form).collect()),
            ..Self::get(url)
        }
    }

    /// A POST request with a JSON body.
    pub fn post(url: &'a Url, body: Value) -> Self {
        Self {
            body: RequestBody::Json(body),
            ..Self::get(url)
        }
    }
}

impl fmt::Debug for JsonRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRequest")
            .field("path", &self.url.path())
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

impl fmt::Debug for RequestToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(..)",
            Self::Header(..) => "Header(..)",
        })
    }
}

impl Outbound {
    /// Sends a request and returns its JSON. A response that is not JSON is an error.
    pub async fn send_json(
        &self,
        request: JsonRequest<'_>,
        accepted: AcceptedStatus,
        call: OutboundCall,
    ) -> Result<JsonResponse, OutboundError> {
        let query = request.query.iter();
        let query: Vec<_> = query.map(|(name, value)| (&**name, &**value)).collect();
        let url = with_query(request.url, &query);
        let sent = match &request.body {
            RequestBody::Get => self.pooled.get(url),
            RequestBody::Form(fields) => self.pooled.post(url).form(fields),
            RequestBody::Json(body) => self.pooled.post(url).json(body),
        };
        let sent = match request.token {
            RequestToken::None => sent,
            RequestToken::Bearer(token) => sent.bearer_auth(token.expose()),
            RequestToken::Header(name, token) => sent.header(name, token.expose()),
        };
        let accepts = |status: StatusCode| match accepted {
            AcceptedStatus::Success => status.is_success(),
            AcceptedStatus::SuccessOrRefusal => may_have_json_body(status),
            AcceptedStatus::Any => true,
        };
        let sent = sent.headers(request.headers);
        let (status, body) = self.exchange(sent, call, accepts).await?;
        Ok(JsonResponse { status, body })
    }
}

fn owned(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}
