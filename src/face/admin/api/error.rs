//! `ApiError`: why an API request failed, and the response to it.

use axum::response::{IntoResponse, Response};
use http::header::{ETAG, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::answer;
use crate::face::admin::json::JsonError;
use crate::face::admin::json_response;
use crate::login::connector::{ConnectorError, DiscardedRecently};
use crate::people::import::LineProblem;
use crate::request::explain::ExplainQueryError;
use crate::site::settings::{ChangeError, FileLine, SettingsError};
use crate::store::{AccountId, ConnectorId, LoginName, StoreError};
use crate::telemetry::error_chain;

/// Why an API request failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::face::admin) enum ApiError {
    /// Says which part of the request is wrong.
    #[error("{0}")]
    Malformed(String),
    /// The body is not one JSON object.
    #[error("the body must be one JSON object: {0}")]
    Json(#[from] JsonError),
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body did not arrive within {within_s} s")]
    TooSlow { within_s: u64 },
    #[error("the Content-Type is {sent}: send {expected}")]
    ContentType { sent: String, expected: String },
    #[error(transparent)]
    ExplainQuery(#[from] ExplainQueryError),
    /// Says which right the token lacks.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Says which thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Says what prevents the change.
    #[error("{0}")]
    Conflict(String),
    /// A change of the managed settings was refused.
    #[error("{}", error_chain(.0))]
    Change(ChangeError),
    #[error("nothing was imported: some lines are bad")]
    BadLines(Vec<LineProblem>),
    /// The source of a connector failed.
    #[error("{}", error_chain(.0))]
    Source(ConnectorError),
    /// Too many hashes of passwords are being computed.
    #[error("{}", error_chain(.0))]
    Busy(ConnectorError),
    #[error(transparent)]
    DiscardedRecently(DiscardedRecently),
    #[error("the store does not answer: {}", .0.cause())]
    Store(StoreError),
    /// This process applies the change already, but it is not stored yet.
    #[error(
        "the change holds in this process, but is not stored yet: {}; menshen retries until it is",
        .0.cause()
    )]
    NotYetStored(StoreError),
}

/// The body of a response to a request that failed.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// What is wrong, and with which part of the request.
    error: String,
    /// The lines that cannot be imported; only in the response to an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<Vec<BadLine>>,
    /// The settings that are wrong, or the member that is there twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<BadField>>,
    /// The configuration file that forbids the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The line in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// A setting that is wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct BadField {
    /// The connector, if the request is about several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// The key below `[connector.ID]`, such as `wecom.corp_id`; empty: the whole connector.
    field: String,
    message: String,
    /// What is allowed, or a remedy.
    help: Option<String>,
}

/// A line that cannot be imported.
#[derive(Serialize, ToSchema)]
pub(super) struct BadLine {
    /// The line in a CSV file, or the place in a JSON array; both count from 1.
    line: usize,
    why: String,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoAccount { account } => {
                Self::NotFound(format!("there is no account {account}"))
            }
            error => Self::Store(error),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) | ChangeError::Settings(SettingsError::Store(error)) => {
                Self::Store(error)
            }
            error => Self::Change(error),
        }
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        ChangeError::Settings(error).into()
    }
}

impl ApiError {
    pub(super) fn malformed(detail: &str) -> Self {
        Self::Malformed(detail.to_owned())
    }

    pub(super) fn no_account(account: &AccountId) -> Self {
        Self::NotFound(format!("there is no account {account}"))
    }

    pub(super) fn no_login(login: &LoginName) -> Self {
        Self::NotFound(format!("nobody has the login {login}"))
    }

    /// A store failure after a change that this process applies already.
    pub(super) fn not_yet_stored(error: StoreError) -> Self {
        match error {
            error @ StoreError::NoAccount { .. } => error.into(),
            error => Self::NotYetStored(error),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Json(_) | Self::ExplainQuery(_) | Self::BadLines(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Change(error) => change_status(error),
            Self::Source(_) => StatusCode::BAD_GATEWAY,
            Self::DiscardedRecently(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(_) | Self::NotYetStored(_) | Self::Busy(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn log(&self) {
        match self {
            Self::Store(error) => {
                tracing::error!(error = %error_chain(error), "a request of the admin API failed: the store does not answer");
            }
            Self::NotYetStored(error) => {
                tracing::error!(
                    error = %error_chain(error),
                    "a change by the admin API could not be stored yet"
                );
            }
            Self::Malformed(_)
            | Self::Json(_)
            | Self::TooLarge { .. }
            | Self::TooSlow { .. }
            | Self::ContentType { .. }
            | Self::ExplainQuery(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Change(_)
            | Self::BadLines(_)
            | Self::Source(_)
            | Self::Busy(_)
            | Self::DiscardedRecently(_) => {}
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let problems = match &self {
            Self::BadLines(lines) => Some(lines.iter().map(|problem| BadLine {
                line: problem.line,
                why: problem.why.clone(),
            })),
            _ => None,
        };
        let at = file_line(&self);
        let problem = Problem {
            error: self.to_string(),
            problems: problems.map(Iterator::collect),
            fields: bad_fields(&self),
            file: at.map(|at| at.file.clone()),
            line: at.map(|at| at.line),
        };
        let mut response = json_response(self.status(), &json!(problem));
        if let Self::DiscardedRecently(error) = &self {
            let seconds = HeaderValue::from(error.retry_after.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        if let Self::Change(ChangeError::Precondition {
            current: Some(etag),
        }) = &self
        {
            let etag = answer::etag(*etag);
            response.headers_mut().insert(ETAG, etag);
        }
        response.map(axum::body::Body::new)
    }
}

fn change_status(error: &ChangeError) -> StatusCode {
    match error {
        ChangeError::NotFound(_) | ChangeError::NoVersion(_) => StatusCode::NOT_FOUND,
        ChangeError::FromFile { .. }
        | ChangeError::ReadOnly { .. }
        | ChangeError::KindChanged { .. } => StatusCode::CONFLICT,
        ChangeError::Problems(_) => StatusCode::BAD_REQUEST,
        ChangeError::CannotBuild(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ChangeError::Precondition { .. } => StatusCode::PRECONDITION_FAILED,
        ChangeError::Store(_) | ChangeError::Contended => StatusCode::SERVICE_UNAVAILABLE,
        ChangeError::Settings(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn bad_fields(error: &ApiError) -> Option<Vec<BadField>> {
    if let ApiError::Json(JsonError::Duplicate { path, .. }) = error {
        return Some(vec![BadField {
            connector: None,
            field: path.clone(),
            message: "it is there twice".to_owned(),
            help: Some("remove one of them".to_owned()),
        }]);
    }
    let (ApiError::Change(ChangeError::Problems(problems))
    | ApiError::Change(ChangeError::CannotBuild(problems))) = error
    else {
        return None;
    };
    let fields = problems.iter().map(|problem| BadField {
        connector: problem.connector.clone(),
        field: problem.field.clone(),
        message: problem.message.to_string(),
        help: problem.help.as_ref().map(ToString::to_string),
    });
    Some(fields.collect())
}

fn file_line(error: &ApiError) -> Option<&FileLine> {
    match error {
        ApiError::Change(ChangeError::FromFile { at, .. } | ChangeError::ReadOnly { at }) => {
            Some(at)
        }
        _ => None,
    }
}
