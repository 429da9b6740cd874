//! The refusals of Yunzhijia, what they mean for a login, and their remedies. Yunzhijia publishes no list of
//! error codes, so the call and the words of the message decide.

use super::super::kit::app_token::CallError;
use super::super::kit::refusal::refusal;
use super::super::{ConnectorError, SourceRefusal};
use super::api::ACQUIRE_CONTEXT;
use crate::outbound::OutboundError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest error message that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The code and the HTTP status of too many calls.
const TOO_MANY: i64 = 429;

/// The call that returns the application's token.
pub(super) const GET_TOKEN: &str = "getAccessToken";

/// The words of a refusal of too many calls.
const LIMIT: [&str; 6] = ["频繁", "超限", "限流", "繁忙", "too many", "busy"];

/// The words of a refusal to tell about somebody or something that does not exist.
const ABSENT: [&str; 3] = ["不存在", "not exist", "not found"];

/// Why an API call failed.
#[derive(Debug)]
pub(super) enum ApiError {
    /// Yunzhijia answered that the call did not succeed.
    Refused {
        refusal: SourceRefusal,
        meaning: Meaning,
    },
    /// Yunzhijia gave no usable response.
    NoUsableResponse(OutboundError),
}

impl ApiError {
    fn text(&self) -> Text {
        match self {
            Self::Refused { refusal, .. } => Text::of(refusal),
            Self::NoUsableResponse(source) => Text::of(source),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoUsableResponse(source) => std::error::Error::source(source),
            Self::Refused { .. } => None,
        }
    }
}

error_of_text!(ApiError, caused);

impl From<OutboundError> for ApiError {
    fn from(source: OutboundError) -> Self {
        Self::NoUsableResponse(source)
    }
}

/// What a refusal means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    class: ErrorClass,
    /// Whether a new token may help.
    may_be_token: bool,
    /// Whether the team does not have the person or the department of the call.
    is_absent: bool,
}

impl From<SourceRefusal> for ApiError {
    fn from(refusal: SourceRefusal) -> Self {
        let words = &refusal.message;
        let meaning = Meaning::of(refusal.call, refusal.code, words, words);
        Self::Refused { refusal, meaning }
    }
}

/// How to react to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    TicketRejected,
    Busy,
    Misconfigured(Mistake),
}

/// What is wrong with the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    Clock,
    Secret,
    Token,
    Team,
    Contacts,
}

impl ApiError {
    /// The error of a login.
    pub(super) fn into_error(self) -> ConnectorError {
        let (refusal, class) = match self {
            Self::Refused { refusal, meaning } => (refusal, meaning.class),
            Self::NoUsableResponse(error) => match error {
                OutboundError::Status { call, status, .. } if matches!(status, 429 | 503) => {
                    return ConnectorError::Busy(status_refusal(call, status));
                }
                OutboundError::Status { call, status, .. } if is_token_status(status) => {
                    let mistake = match call {
                        GET_TOKEN => Mistake::Secret,
                        _ => Mistake::Token,
                    };
                    let refusal = status_refusal(call, status);
                    (refusal, ErrorClass::Misconfigured(mistake))
                }
                error => return ConnectorError::NoUsableResponse(error),
            },
        };
        match class {
            ErrorClass::TicketRejected => ConnectorError::CodeRejected(refusal),
            ErrorClass::Busy => ConnectorError::Busy(refusal),
            ErrorClass::Misconfigured(mistake) => ConnectorError::Misconfigured {
                remedy: mistake.remedy(),
                source: refusal,
            },
        }
    }
}

impl ApiError {
    /// Whether the team does not have the person or the department of the call.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { meaning, .. } if meaning.is_absent)
    }
}

impl CallError for ApiError {
    fn is_token_refused(&self) -> bool {
        match self {
            Self::Refused { meaning, .. } => meaning.may_be_token,
            Self::NoUsableResponse(error) => match error {
                OutboundError::Status { call, status, .. } => {
                    *call != GET_TOKEN && is_token_status(*status)
                }
                _ => false,
            },
        }
    }

    fn lasting_refusal(&self) -> Option<&SourceRefusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NoUsableResponse(_) => None,
        }
    }
}

/// The error of Yunzhijia, limited in length and without the `redacted` values of the request.
pub(super) fn refused(call: &'static str, code: i64, message: &str, redacted: &[&str]) -> ApiError {
    let mut own_words = message.to_owned();
    for value in redacted.iter().filter(|value| !value.is_empty()) {
        own_words = own_words.replace(value, "…");
    }
    ApiError::Refused {
        meaning: Meaning::of(call, code, message, &own_words),
        refusal: refusal(call, code, message, redacted, MESSAGE_CHARS_MAX),
    }
}

impl Meaning {
    /// A message may repeat the ticket, which anybody can choose. So only `own_words`, without the values of
    /// the request, blame the settings or the source; any word shows that a refusal is not about the token. Any
    /// other refusal may be: within its lifetime Yunzhijia issues the same token again, so that asking for it
    /// costs nothing.
    fn of(call: &'static str, code: i64, message: &str, own_words: &str) -> Self {
        let names_ticket = mentions(message, &["ticket"]);
        let is_absent = mentions(message, &ABSENT);
        let is_limit = mentions(message, &LIMIT) || code == TOO_MANY;
        Self {
            class: classify(call, code, names_ticket, own_words),
            may_be_token: call != GET_TOKEN && !(names_ticket || is_absent || is_limit),
            is_absent,
        }
    }
}

fn status_refusal(call: &'static str, status: u16) -> SourceRefusal {
    SourceRefusal {
        call,
        code: i64::from(status),
        message: format!("HTTP status {status}: the token or the secret is refused"),
    }
}

fn is_token_status(status: u16) -> bool {
    matches!(status, 401 | 403)
}

fn classify(call: &'static str, code: i64, names_ticket: bool, own_words: &str) -> ErrorClass {
    let is_token_call = call == GET_TOKEN;
    let says = |words: &[&str]| mentions(own_words, words);
    if says(&LIMIT) || code == TOO_MANY {
        ErrorClass::Busy
    } else if says(&["未授权", "unauthorized team", "无权限"]) {
        ErrorClass::Misconfigured(Mistake::Team)
    } else if is_token_call && says(&["timestamp", "时间"]) {
        ErrorClass::Misconfigured(Mistake::Clock)
    } else if is_token_call {
        ErrorClass::Misconfigured(Mistake::Secret)
    } else if !names_ticket && (says(&["token"]) || matches!(code, 401 | 403)) {
        ErrorClass::Misconfigured(Mistake::Token)
    } else if call != ACQUIRE_CONTEXT {
        ErrorClass::Misconfigured(Mistake::Contacts)
    } else {
        ErrorClass::TicketRejected
    }
}

fn mentions(message: &str, words: &[&str]) -> bool {
    let message = message.to_lowercase();
    words.iter().any(|word| message.contains(word))
}

impl Mistake {
    fn remedy(self) -> Text {
        match self {
            Self::Clock => {
                text!(
                    "correct the clock of this machine (NTP): Yunzhijia accepts three minutes of \
                     difference",
                    "请校准这台机器的时钟（NTP）：云之家只接受三分钟以内的误差"
                )
            }
            Self::Secret => {
                text!(
                    "copy appId and appSecret of the light application (轻应用) again from the \
                     Yunzhijia console into `app_id` and `app_secret`, and check `base`",
                    "请从云之家后台重新把轻应用的 appId 和 appSecret 复制到 `app_id` 和 \
                     `app_secret`，并检查 `base`"
                )
            }
            Self::Token => {
                text!(
                    "Yunzhijia rejects a token that it has just issued: check that `base` leads to \
                     only one deployment",
                    "云之家拒绝了刚签发的令牌：请检查 `base` 是否只指向一个部署"
                )
            }
            Self::Team => {
                text!(
                    "the application is not authorized for the team (企业未授权): check that `app_id` \
                     is an application of the team `eid`, and that an administrator has opened it",
                    "应用未获企业授权（企业未授权）：请检查 `app_id` 是否是企业 `eid` \
                     的应用，管理员是否已开通"
                )
            }
            Self::Contacts => {
                text!(
                    "Yunzhijia does not let the application read the contacts (组织人员): check that \
                     it is a light application (轻应用) of the team `eid` that an administrator has \
                     opened; without its contacts, remove `contacts`",
                    "云之家不允许应用读取组织人员：请检查它是否是企业 `eid` \
                     的轻应用，管理员是否已开通；不需要通讯录时，请删除 `contacts`"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
