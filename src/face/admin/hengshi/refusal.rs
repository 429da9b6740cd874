//! `Refusal`: why a request is refused, with the status and the code of the response.

use http::StatusCode;

use super::kind::HengshiKind;
use super::problem::{FieldError, Words};
use super::refused::Refused;
use crate::face::admin::json::{DEPTH_MAX, JsonError};
use crate::site::settings::{ChangeError, FieldProblem, FileLine};
use crate::store::ConnectorId;
use crate::telemetry::error_chain;
use crate::wording::Text;

/// The longest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Why a request is refused. Contains no secret.
#[derive(Clone, Debug)]
pub(in crate::face::admin) enum Refusal {
    /// The body is not one JSON object.
    Body(Words),
    /// Fields are wrong.
    Fields(Vec<FieldError>),
    NoToken,
    /// The words say what forbids it.
    Forbidden(Words),
    NotFound,
    TooSlow,
    Method {
        allowed: String,
    },
    /// What the file sets, and where.
    FromFile {
        what: Text,
        at: FileLine,
    },
    ReadOnly {
        at: FileLine,
    },
    /// Several connectors are of the kind.
    Several {
        kind: &'static str,
        ids: Vec<ConnectorId>,
    },
    /// The connector of this name cannot be used.
    NotInForce(Words),
    Precondition,
    TooLarge,
    ContentType,
    /// Every field is fine, but together they cannot be built.
    Together(Vec<FieldError>),
    TooManyTokens,
    /// The source of a connector refused, or does not answer.
    Source(Words),
    StoreAway,
}

impl Refusal {
    /// The status, and the number of the code behind it.
    fn status_and_number(&self) -> (StatusCode, u16) {
        match self {
            Self::Body(_) => (StatusCode::BAD_REQUEST, 0),
            Self::Fields(_) => (StatusCode::BAD_REQUEST, 1),
            Self::NoToken => (StatusCode::UNAUTHORIZED, 0),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, 0),
            Self::NotFound => (StatusCode::NOT_FOUND, 0),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, 0),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, 0),
            Self::FromFile { .. } | Self::ReadOnly { .. } => (StatusCode::CONFLICT, 0),
            Self::Several { .. } => (StatusCode::CONFLICT, 1),
            Self::NotInForce(_) => (StatusCode::CONFLICT, 2),
            Self::Precondition => (StatusCode::PRECONDITION_FAILED, 0),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 0),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 0),
            Self::Together(_) => (StatusCode::UNPROCESSABLE_ENTITY, 0),
            Self::TooManyTokens => (StatusCode::TOO_MANY_REQUESTS, 0),
            Self::Source(_) => (StatusCode::BAD_GATEWAY, 0),
            Self::StoreAway => (StatusCode::SERVICE_UNAVAILABLE, 0),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status_and_number().0
    }

    /// The code in the envelope.
    pub(super) fn code(&self) -> u32 {
        let (status, number) = self.status_and_number();
        u32::from(status.as_u16()) * 100 + u32::from(number)
    }

    /// What is said to people.
    pub(super) fn words(&self) -> Words {
        match self {
            Self::Body(words)
            | Self::Forbidden(words)
            | Self::NotInForce(words)
            | Self::Source(words) => words.clone(),
            Self::Fields(problems) => words_of("字段有误", "some fields are wrong", problems),
            Self::Together(problems) => words_of(
                "各字段本身没有问题，但合在一起无法使用",
                "every field is fine, but together they cannot be used",
                problems,
            ),
            Self::NoToken => Words::new(
                "需要管理 API 的令牌：Authorization: Bearer …",
                "a bearer token of [admin] is required",
            ),
            Self::NotFound => Words::new("没有这个认证方式或路径", "there is no such kind or path"),
            Self::TooSlow => Words::new("请求体没有按时到达", "the body did not arrive in time"),
            Self::Method { allowed } => Words::new(
                format!("不支持这个方法，可以用：{allowed}"),
                format!("this method is not allowed; allowed are {allowed}"),
            ),
            Self::FromFile { what, at } => Words::new(
                format!("{what:#} 由配置文件 {at} 设置，请在那里修改"),
                format!("{what} is set in {at}: change it there"),
            ),
            Self::ReadOnly { at } => Words::new(
                format!("{at} 中的 [managed] write = false 禁止通过接口修改"),
                format!("[managed] write = false in {at} forbids changes by the API"),
            ),
            Self::Several { kind, ids } => {
                let ids: Vec<_> = ids.iter().map(ConnectorId::as_str).collect();
                let ids = ids.join(", ");
                Words::new(
                    format!("{kind} 有多个认证源（{ids}），请用 ?connector=ID 指明是哪一个"),
                    format!("there are several connectors of {kind} ({ids}): say ?connector=ID"),
                )
            }
            Self::Precondition => Words::new(
                "设置已被修改，或者 If-Match、If-None-Match 的条件不成立；请重新读取后再试",
                "it was changed meanwhile, or does not meet If-Match or If-None-Match: read it again",
            ),
            Self::TooLarge => Words::new(
                format!("请求体超过 {BODY_BYTES_MAX} 字节"),
                format!("the body is longer than {BODY_BYTES_MAX} bytes"),
            ),
            Self::ContentType => Words::new(
                "Content-Type 应为 application/json（字符集 utf-8 或不写）",
                "the Content-Type must be application/json, with the charset utf-8 or none",
            ),
            Self::TooManyTokens => Words::new(
                "这个地址发来了太多错误的令牌，请稍后再试",
                "this address sent too many wrong tokens: try again later",
            ),
            Self::StoreAway => Words::new(
                "数据库暂时不可用，请稍后再试",
                "the store does not answer: try again later",
            ),
        }
    }

    /// The problems in `data`.
    pub(super) fn problems(&self) -> Vec<FieldError> {
        match self {
            Self::Fields(problems) | Self::Together(problems) => problems.clone(),
            Self::FromFile { what, at } => {
                let words = self.words();
                vec![FieldError {
                    field: what.to_string(),
                    words,
                    at: Some((at.file.clone(), at.line)),
                }]
            }
            Self::ReadOnly { at } => vec![FieldError {
                field: "[managed] write".to_owned(),
                words: self.words(),
                at: Some((at.file.clone(), at.line)),
            }],
            _ => Vec::new(),
        }
    }

    /// For an administrator who may only look.
    pub(super) fn view_only() -> Self {
        Self::Forbidden(Words::new(
            "这个令牌只能查看，不能修改",
            "this token may only read",
        ))
    }

    /// For somebody whom the rules of the console do not admit.
    pub(in crate::face::admin) fn not_admitted() -> Self {
        Self::Forbidden(Words::new(
            "您没有使用控制台的权限",
            "the rules of [console] do not admit you",
        ))
    }

    /// For a change with a session of the console.
    pub(in crate::face::admin) fn no_csrf_token() -> Self {
        Self::Forbidden(Words::new(
            "用控制台会话修改设置时，需要带这个会话的 X-CSRF-Token",
            "a change with a session of the console needs its CSRF token in X-CSRF-Token",
        ))
    }

    /// For a request that a browser sends for a page of another site.
    pub(in crate::face::admin) fn other_origin() -> Self {
        Self::Forbidden(Words::new(
            "不接受其他网站的页面发来的请求",
            "requests from pages of other sites are refused",
        ))
    }

    /// For a request that names a host which is not this listener.
    pub(in crate::face::admin) fn other_host() -> Self {
        Self::Forbidden(Words::new(
            "请用 IP 地址、localhost 或 [admin] hosts 中的名称访问",
            "use an IP address, localhost or a name in [admin] hosts",
        ))
    }

    /// For one wrong field.
    pub(super) fn field(field: &str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Fields(vec![FieldError::new(field, zh, en)])
    }
}

fn words_of(zh: &str, en: &str, problems: &[FieldError]) -> Words {
    let list = |in_words: fn(&Words) -> &str, colon: &str| {
        let shown = problems.iter().map(|problem| {
            let words = in_words(&problem.words);
            match problem.field.is_empty() {
                true => words.to_owned(),
                false => format!("{}{colon}{words}", problem.field),
            }
        });
        shown.collect::<Vec<_>>()
    };
    let zh_list = list(|words| &words.zh, "：").join("；");
    let en_list = list(|words| &words.en, ": ").join("; ");
    Words::new(format!("{zh}：{zh_list}"), format!("{en}: {en_list}"))
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        let en = format!("the body must be one JSON object: {error}");
        Self::Body(match error {
            JsonError::NotAnObject => Words::new("请求体应为一个 JSON 对象", en),
            JsonError::Malformed { line, column, .. } => {
                Words::new(format!("请求体不是 JSON：第 {line} 行第 {column} 列"), en)
            }
            JsonError::Duplicate { path, line, column } => {
                let zh = format!("请求体中 {path:?} 出现了两次：第 {line} 行第 {column} 列");
                Words::new(zh, en)
            }
            JsonError::TooDeep => Words::new(format!("请求体嵌套超过 {DEPTH_MAX} 层"), en),
        })
    }
}

/// A problem of the settings, at the field of the request that `field_of` names.
pub(super) fn field_error(problem: &FieldProblem, field: String) -> FieldError {
    let message = &problem.message;
    match &problem.help {
        Some(help) => FieldError::new(
            field,
            format!("{message:#}：{help:#}"),
            format!("{message}: {help}"),
        ),
        None => FieldError::new(field, format!("{message:#}"), message.to_string()),
    }
}

/// Why a change was refused. `field_of` gives the field of the request for a key path, and whether it was
/// sent.
pub(super) fn of_change(
    error: ChangeError,
    kind: Option<HengshiKind>,
    field_of: impl Fn(&str) -> (String, bool),
) -> Refused {
    let refusal = match error {
        ChangeError::FromFile { what, at } => Refusal::FromFile { what, at },
        ChangeError::ReadOnly { at } => Refusal::ReadOnly { at },
        ChangeError::Precondition { .. } => Refusal::Precondition,
        ChangeError::NotFound(_) | ChangeError::NoVersion(_) => Refusal::NotFound,
        ChangeError::Problems(problems) => {
            let named = problems.iter().map(|problem| {
                let (field, is_sent) = field_of(&problem.field);
                (field_error(problem, field), is_sent)
            });
            let (errors, sent): (Vec<_>, Vec<_>) = named.unzip();
            match sent.contains(&true) {
                true => Refusal::Fields(errors),
                false => Refusal::Together(errors),
            }
        }
        ChangeError::CannotBuild(problems) => {
            let errors = problems.iter();
            let errors = errors.map(|problem| field_error(problem, field_of(&problem.field).0));
            Refusal::Together(errors.collect())
        }
        ChangeError::KindChanged { id, was } => {
            let kind = kind.map_or("", HengshiKind::id);
            let zh = format!("{id} 曾是 {was} 类型的认证源，不能改作 {kind}，请换一个 ID");
            let en = format!(
                "{id} was a connector of the kind {was} and cannot become {kind}: choose another ID"
            );
            Refusal::Together(vec![FieldError::new("connector", zh, en)])
        }
        error @ (ChangeError::Store(_) | ChangeError::Settings(_) | ChangeError::Contended) => {
            tracing::error!(
                error = %error_chain(&error),
                "a change of HENGSHI's API failed: the store cannot be used"
            );
            Refusal::StoreAway
        }
    };
    Refused {
        refusal,
        is_audited: true,
    }
}
