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
use crate::store::{AccountId, ConnectorId, StoreError};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// Why an API request failed.
#[derive(Debug)]
pub(in crate::face::admin) enum ApiError {
    /// Says which part of the request is wrong.
    Malformed(Text),
    /// The body is not one JSON object.
    Json(JsonError),
    TooLarge {
        bytes_max: usize,
    },
    /// The body did not arrive in time.
    TooSlow {
        within_s: u64,
    },
    ContentType {
        sent: String,
        expected: String,
    },
    ExplainQuery(ExplainQueryError),
    /// Says which right the token lacks.
    Forbidden(Text),
    /// Says which thing does not exist.
    NotFound(Text),
    /// Says what prevents the change.
    Conflict(Text),
    /// A change of the managed settings was refused.
    Change(ChangeError),
    /// Nothing was imported, because some lines are bad.
    BadLines(Vec<LineProblem>),
    /// The source of a connector failed.
    Source(ConnectorError),
    /// Too many hashes of passwords are being computed.
    Busy(ConnectorError),
    DiscardedRecently(DiscardedRecently),
    Store(StoreError),
    /// This process applies the change already, but it is not stored yet.
    NotYetStored(StoreError),
}

/// The body of a response to a request that failed.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// What is wrong, and with which part of the request.
    error: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_zh: Option<String>,
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
    /// The message in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_zh: Option<String>,
    /// What is allowed, or a remedy.
    help: Option<String>,
    /// The help in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    help_zh: Option<String>,
}

/// A line that cannot be imported.
#[derive(Serialize, ToSchema)]
pub(super) struct BadLine {
    /// The line in a CSV file, or the place in a JSON array; both count from 1.
    line: usize,
    why: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_zh: Option<String>,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoAccount { account } => Self::no_account(&account),
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

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<ExplainQueryError> for ApiError {
    fn from(error: ExplainQueryError) -> Self {
        Self::ExplainQuery(error)
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        ChangeError::Settings(error).into()
    }
}

impl ApiError {
    pub(super) fn no_token() -> Self {
        Self::Forbidden(Text::fixed("the request has no token", "请求没有令牌"))
    }

    pub(super) fn empty_body() -> Self {
        Self::Malformed(Text::fixed(
            "the body is empty: send a JSON object",
            "请求体是空的：请发送一个 JSON 对象",
        ))
    }

    pub(super) fn no_account(account: &AccountId) -> Self {
        Self::NotFound(text!("there is no account {account}", "没有账号 {account}"))
    }

    pub(super) fn no_connector(id: &str) -> Self {
        Self::NotFound(text!("there is no connector {id}", "没有认证源 {id}"))
    }

    pub(super) fn no_login(login: &str) -> Self {
        Self::NotFound(text!(
            "nobody has the login {login}",
            "没有人使用登录名 {login}"
        ))
    }

    fn text(&self) -> Text {
        match self {
            Self::Malformed(why)
            | Self::Forbidden(why)
            | Self::NotFound(why)
            | Self::Conflict(why) => why.clone(),
            Self::Json(error) => text!(
                "the body must be one JSON object: {error}",
                "请求体应为一个 JSON 对象：{error:#}"
            ),
            Self::TooLarge { bytes_max } => text!(
                "the body is longer than {bytes_max} bytes",
                "请求体超过 {bytes_max} 字节"
            ),
            Self::TooSlow { within_s } => text!(
                "the body did not arrive within {within_s} s",
                "请求体没有在 {within_s} 秒内到达"
            ),
            Self::ContentType { sent, expected } => text!(
                "the Content-Type is {sent}: send {expected}",
                "Content-Type 是 {sent}：应为 `{expected}`"
            ),
            Self::ExplainQuery(error) => Text::of(error),
            Self::Change(error) => Text::of(&error_chain(error)),
            Self::BadLines(_) => Text::fixed(
                "nothing was imported: some lines are bad",
                "没有导入任何人：有的行不正确",
            ),
            Self::Source(error) | Self::Busy(error) => Text::of(&error_chain(error)),
            Self::DiscardedRecently(error) => Text::of(error),
            Self::Store(error) => {
                let why = error.cause();
                text!(
                    "the store does not answer: {why}",
                    "数据库没有响应：{why:#}"
                )
            }
            Self::NotYetStored(error) => {
                let why = error.cause();
                text!(
                    "the change holds in this process, but is not stored yet: {why}; menshen retries until \
                     it is",
                    "修改已在本进程生效，但尚未写入数据库：{why:#}；menshen 会继续重试"
                )
            }
        }
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
                why: problem.why.to_string(),
                why_zh: problem.why.other_chinese(),
            })),
            _ => None,
        };
        let (text, at) = (self.text(), file_line(&self));
        let problem = Problem {
            error: text.to_string(),
            error_zh: text.other_chinese(),
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
            message_zh: Some("出现了两次".to_owned()),
            help: Some("remove one of them".to_owned()),
            help_zh: Some("请删除其中一个".to_owned()),
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
        message_zh: problem.message.other_chinese(),
        help: problem.help.as_ref().map(ToString::to_string),
        help_zh: problem.help.as_ref().and_then(Text::other_chinese),
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
