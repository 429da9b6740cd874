//! The errors of a TLS connection to a source in both languages.

use rustls::{CertificateError, Error};

use crate::text;
use crate::wording::Text;

/// The message of a TLS error. The English one is that of rustls.
pub(super) fn tls_message(error: &Error) -> Text {
    let zh = match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => {
            return text!("{error}", "对方以 TLS 警报 {alert:?} 结束了握手");
        }
        Error::InvalidMessage(_) => "对方的响应不是 TLS",
        Error::PeerIncompatible(_) => "与对方没有共同支持的 TLS 版本或算法",
        _ => return text!("{error}", "TLS 出错：`{error}`"),
    };
    text!("{error}", "{zh}")
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => "对方的证书由未知的 CA 签发：请用 `ca` 指定 CA 文件",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "对方的证书已过期",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "对方的证书尚未生效"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "对方的证书不包含这个主机名"
        }
        CertificateError::Revoked => "对方的证书已被吊销",
        _ => "对方的证书无法接受",
    }
}
