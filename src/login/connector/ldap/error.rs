//! `LdapError`: why a directory could not be asked, or gave no answer that counts.

use std::io;

use super::ber::Malformed;
use crate::outbound::{AddressRefused, io_reason};
use crate::resolver::ResolveError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why a directory could not be asked. Holds no password.
#[derive(Debug)]
pub(super) enum LdapError {
    Resolve {
        address: String,
        source: ResolveError,
    },
    AddressRefused {
        address: String,
        source: AddressRefused,
    },
    Connect {
        address: String,
        source: io::Error,
    },
    Timeout {
        address: String,
        operation: &'static str,
    },
    /// The certificate is not valid for the host, or there is no TLS at all.
    Tls {
        address: String,
        source: io::Error,
    },
    StartTlsRefused {
        address: String,
        code: i32,
        text: String,
    },
    /// They were sent without TLS, so they need not be from the directory.
    EarlyBytes {
        address: String,
    },
    Exchange {
        address: String,
        operation: &'static str,
        source: io::Error,
    },
    Closed {
        address: String,
        operation: &'static str,
    },
    Malformed {
        address: String,
        operation: &'static str,
        source: Malformed,
    },
    TooLarge {
        address: String,
        operation: &'static str,
        bytes_max: usize,
    },
    WrongMessageId {
        address: String,
        operation: &'static str,
    },
    Notice {
        address: String,
        code: i32,
        text: String,
    },
    /// Referrals are not followed: no password goes to another server than those of `url`.
    Referral {
        address: String,
        operation: &'static str,
        referrals: String,
    },
    Refused {
        address: String,
        operation: &'static str,
        code: i32,
        text: String,
    },
    ServiceBindRefused {
        address: String,
        bind_dn: String,
        code: i32,
        text: String,
    },
    /// All connections are in use.
    PoolBusy,
    LoginTimeout,
}

impl LdapError {
    fn text(&self) -> Text {
        let operation = operation_text(self.operation());
        match self {
            Self::Resolve { address, .. } => text!("look up {address}", "无法解析 {address}"),
            Self::AddressRefused { address, .. } | Self::Connect { address, .. } => {
                text!("connect to {address}", "无法连接 {address}")
            }
            Self::Timeout { address, .. } => text!(
                "{address} did not answer {operation} in time",
                "{address} 没有按时响应{operation:#}请求"
            ),
            Self::Tls { address, source } => {
                let why = io_reason(source);
                text!(
                    "establish TLS with {address}: {why}",
                    "无法与 {address} 建立 TLS：{why:#}"
                )
            }
            Self::StartTlsRefused {
                address,
                code,
                text,
            } => text!(
                "{address} refuses StartTLS with result {code}: {text}",
                "{address} 拒绝 StartTLS，结果码 {code}：{text}"
            ),
            Self::EarlyBytes { address } => text!(
                "{address} sent bytes between its answer to StartTLS and the TLS handshake",
                "{address} 在响应 StartTLS 与 TLS 握手之间发送了多余的字节"
            ),
            Self::Exchange { address, .. } => text!(
                "exchange {operation} with {address}",
                "与 {address} 进行{operation:#}时出错"
            ),
            Self::PoolBusy => Text::fixed(
                "no connection to the directory became free in time",
                "没有等到空闲的目录连接",
            ),
            Self::LoginTimeout => Text::fixed(
                "the directory did not answer within the time of a whole login",
                "目录没有在一次登录的时限内响应",
            ),
            answered => answered.answer_text(&operation),
        }
    }

    /// What the server answered instead of the result of the operation.
    fn answer_text(&self, operation: &Text) -> Text {
        match self {
            Self::Closed { address, .. } => text!(
                "{address} closed the connection during {operation}",
                "{address} 在{operation:#}期间关闭了连接"
            ),
            Self::Malformed { address, .. } => text!(
                "{address} sent a malformed message during {operation}",
                "{address} 在{operation:#}期间发送了格式错误的消息"
            ),
            Self::TooLarge {
                address, bytes_max, ..
            } => text!(
                "{address} answered {operation} with more than {bytes_max} bytes",
                "{address} 对{operation:#}的响应超过 {bytes_max} 字节"
            ),
            Self::WrongMessageId { address, .. } => text!(
                "{address} answered {operation} with the message ID of another request",
                "{address} 对{operation:#}的响应带着别的请求的消息 ID"
            ),
            Self::Notice {
                address,
                code,
                text,
            } => text!(
                "{address} ended the connection with a notice: result {code}: {text}",
                "{address} 发出断开通知并关闭了连接，结果码 {code}：{text}"
            ),
            Self::Referral {
                address, referrals, ..
            } => text!(
                "{address} refers {operation} to another server, which menshen does not follow: \
                 {referrals}",
                "{address} 把{operation:#}转介到别的服务器，menshen 不跟随转介：{referrals}"
            ),
            Self::Refused {
                address,
                code,
                text,
                ..
            } => text!(
                "{address} refuses {operation} with result {code}: {text}",
                "{address} 拒绝{operation:#}请求，结果码 {code}：{text}"
            ),
            Self::ServiceBindRefused {
                address,
                bind_dn,
                code,
                text,
            } => text!(
                "{address} refuses bind_dn {bind_dn:?} with result {code}: {text}; check bind_dn and \
                 bind_password",
                "{address} 拒绝 bind_dn {bind_dn:?}，结果码 {code}：{text}；请检查 bind_dn 和 \
                 bind_password"
            ),
            // The others are no answers.
            _ => operation.clone(),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { source, .. } => Some(source),
            Self::AddressRefused { source, .. } => Some(source),
            Self::Connect { source, .. } => Some(source),
            Self::Exchange { source, .. } => Some(source),
            Self::Malformed { source, .. } => Some(source),
            Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::StartTlsRefused { .. }
            | Self::EarlyBytes { .. }
            | Self::Closed { .. }
            | Self::TooLarge { .. }
            | Self::WrongMessageId { .. }
            | Self::Notice { .. }
            | Self::Referral { .. }
            | Self::Refused { .. }
            | Self::ServiceBindRefused { .. }
            | Self::PoolBusy
            | Self::LoginTimeout => None,
        }
    }
}

error_of_text!(LdapError, caused);

/// Stands in the log for a message of the directory that repeats the password.
pub(super) const TEXT_WITH_PASSWORD: &str = "(a message that repeats the password)";

impl LdapError {
    fn operation(&self) -> &'static str {
        match self {
            Self::Timeout { operation, .. }
            | Self::Exchange { operation, .. }
            | Self::Closed { operation, .. }
            | Self::Malformed { operation, .. }
            | Self::TooLarge { operation, .. }
            | Self::WrongMessageId { operation, .. }
            | Self::Referral { operation, .. }
            | Self::Refused { operation, .. } => operation,
            _ => "",
        }
    }

    /// Without what the directory wrote, which repeats the password.
    pub(super) fn without_text(mut self) -> Self {
        if let Self::Notice { text, .. }
        | Self::Refused { text, .. }
        | Self::Referral {
            referrals: text, ..
        } = &mut self
        {
            TEXT_WITH_PASSWORD.clone_into(text);
        }
        self
    }

    /// Whether a connection that was idle for a while may be the cause.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(
            self,
            Self::Exchange { .. } | Self::Closed { .. } | Self::Notice { .. }
        )
    }
}

/// The names of operations in errors.
pub(super) const CONNECT: &str = "the connection";
pub(super) const TLS_HANDSHAKE: &str = "the TLS handshake";
pub(super) const START_TLS: &str = "StartTLS";
pub(super) const BIND: &str = "the bind";
pub(super) const SEARCH: &str = "the search";

fn operation_text(name: &'static str) -> Text {
    match name {
        CONNECT => Text::fixed(CONNECT, "连接"),
        TLS_HANDSHAKE => Text::fixed(TLS_HANDSHAKE, " TLS 握手"),
        BIND => Text::fixed(BIND, "绑定"),
        SEARCH => Text::fixed(SEARCH, "搜索"),
        START_TLS => Text::fixed(START_TLS, " StartTLS "),
        name => Text::same(name),
    }
}
