//! `OutboundError`: why a call to a source failed.

use std::error::Error;
use std::io;

use super::AddressRefused;
use super::call::call_text;
use super::tls_message::tls_message;
use crate::resolver::ResolveError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why a call failed. Never contains a URL, a query or a body.
#[derive(Debug)]
pub enum OutboundError {
    /// The connection failed or timed out: DNS, network, proxy or TLS.
    Connect {
        call: &'static str,
        source: reqwest::Error,
    },
    /// Nothing was sent: the address may not be contacted.
    Refused {
        call: &'static str,
        source: AddressRefused,
    },
    /// The server accepted the connection and did not respond in time.
    Timeout { call: &'static str },
    /// The connection broke, or the response is not HTTP.
    Exchange {
        call: &'static str,
        source: reqwest::Error,
    },
    /// The response has another status than 200.
    Status {
        call: &'static str,
        status: u16,
        /// The `Content-Type` of the response.
        content_type: Text,
    },
    /// The response is not JSON, but for example a captive portal or the error page of a gateway.
    NotJson {
        call: &'static str,
        /// The `Content-Type` of the response.
        content_type: Text,
    },
    /// The response is JSON without a member that the call needs.
    Incomplete {
        call: &'static str,
        /// The member that is absent or of another type.
        missing: &'static str,
    },
    /// The response is longer than the limit.
    TooLarge {
        call: &'static str,
        bytes_max: usize,
    },
    /// The last call failed, and its back-off lasts.
    Pausing { call: &'static str },
}

impl OutboundError {
    fn call(&self) -> &'static str {
        match self {
            Self::Connect { call, .. }
            | Self::Refused { call, .. }
            | Self::Timeout { call }
            | Self::Exchange { call, .. }
            | Self::Status { call, .. }
            | Self::NotJson { call, .. }
            | Self::Incomplete { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Pausing { call } => call,
        }
    }

    fn text(&self) -> Text {
        let call = call_text(self.call());
        match self {
            Self::Connect { source, .. } => {
                let why = reason(source);
                text!(
                    "connect for {call}: {why}",
                    "无法建立连接（{call:#}）：{why:#}"
                )
            }
            Self::Refused { source, .. } => text!(
                "connect for {call}: {source}",
                "无法建立连接（{call:#}）：{source:#}"
            ),
            Self::Timeout { .. } => text!(
                "{call} was not answered in time",
                "没有按时得到响应（{call:#}）"
            ),
            Self::Exchange { source, .. } => {
                let why = reason(source);
                text!("exchange {call}: {why}", "通信出错（{call:#}）：{why:#}")
            }
            Self::Status {
                status,
                content_type,
                ..
            } => text!(
                "{call} answered with HTTP status {status} and {content_type}",
                "响应是 HTTP 状态码 {status}（{call:#}，{content_type:#}）"
            ),
            Self::NotJson { content_type, .. } => text!(
                "{call} answered with HTTP status 200 and something else than JSON ({content_type})",
                "响应是 HTTP 状态码 200，但内容不是 JSON（{call:#}，{content_type:#}）"
            ),
            Self::Incomplete { missing, .. } => text!(
                "{call} answered with JSON that lacks {missing}",
                "返回的 JSON 缺少 `{missing}`（{call:#}）"
            ),
            Self::TooLarge { bytes_max, .. } => text!(
                "{call} answered with more than {bytes_max} bytes",
                "响应超过 {bytes_max} 字节（{call:#}）"
            ),
            Self::Pausing { .. } => text!(
                "{call} was not answered a moment ago",
                "刚才没有得到响应，暂时不再发送（{call:#}）"
            ),
        }
    }
}

error_of_text!(OutboundError);

impl OutboundError {
    /// Whether the server accepted the connection and did not respond in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether there was no HTTP response.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Exchange { .. }
            | Self::Pausing { .. } => true,
            Self::Status { .. }
            | Self::NotJson { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}

/// The innermost error of the HTTP client: the errors around it say no more than the message.
fn reason(error: &reqwest::Error) -> Text {
    let mut found: &(dyn Error + 'static) = error;
    while let Some(inner) = found.source() {
        found = inner;
        if let Some(error) = found.downcast_ref::<ResolveError>() {
            return resolve_reason(error);
        }
        if let Some(refused) = found.downcast_ref::<AddressRefused>() {
            return Text::of(refused);
        }
    }
    match found.downcast_ref::<io::Error>() {
        Some(error) => io_reason(error),
        None if error.is_timeout() => text!("{found}", "连接超时"),
        None => text!("{found}", "`{found}`"),
    }
}

/// An error of the system or of TLS.
pub fn io_reason(error: &io::Error) -> Text {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_message(tls);
    }
    match (error.raw_os_error(), error.kind()) {
        (Some(_), _) => Text::same(error.to_string()),
        (None, io::ErrorKind::UnexpectedEof) => text!("{error}", "对方提前关闭了连接"),
        (None, io::ErrorKind::TimedOut) => text!("{error}", "超时"),
        (None, _) => text!("{error}", "`{error}`"),
    }
}

fn resolve_reason(error: &ResolveError) -> Text {
    match error.source() {
        Some(source) => text!("{error}: {source}", "{error:#}：{source:#}"),
        None => Text::of(error),
    }
}
