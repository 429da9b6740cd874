//! XML signatures as SAML uses them: verifies one element of a document and returns what is signed, and
//! signs our own requests. Everything that SAML does not need is refused.
//!
//! A signature proves nothing about the tree that was received, only about the canonical bytes whose digest
//! is signed. Therefore [`verify()`] reads these bytes again, and callers take facts only from the returned
//! [`SignedDocument`].

mod algorithms;
mod canonical;
mod private_key;
mod query;
mod sign;
mod structure;
#[cfg(test)]
pub(super) mod tests;
mod verify;
mod verifying_key;

pub use private_key::{PrivateKey, PrivateKeyError};
pub use query::{SignedQuery, sign_query, verify_query};
pub use sign::{SignError, sign_enveloped};
pub use verify::{SignedDocument, is_signed, verify};
pub use verifying_key::{CertificateError, VerifyingKey};

use super::xml::XmlError;

use crate::text;
use crate::wording::{Text, error_of_text};

/// The namespace of XML Signature.
pub const SIGNATURE_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What a signature may use.
#[derive(Clone, Copy, Debug)]
pub struct SignaturePolicy {
    /// Whether SHA-1 is accepted as digest and inside RSA signatures.
    pub allow_sha1: bool,
    /// The most bytes of the signed element in canonical form. The canonical form can be several times as
    /// long as the document.
    pub canonical_bytes_max: usize,
}

/// Which rule a signature breaks.
#[derive(Debug)]
pub enum SignatureRefusal {
    Unsigned,
    ForeignElement,
    MissingId,
    RepeatedId,
    SeveralSignatures,
    SeveralReferences,
    /// Another form than the one that SAML 2.0 §5.4 prescribes.
    UnexpectedContent(&'static str),
    Missing(&'static str),
    ForeignReference,
    Transforms,
    Canonicalization,
    Algorithm(&'static str),
    Sha1,
    Encoding(&'static str),
    /// The keys are none of the signer's, or what is signed was altered.
    NoKeyVerifies,
    Digest,
    TooLarge,
    Unreadable(XmlError),
    /// A parameter of the query that is missing, or given twice.
    Parameter(&'static str),
}

impl SignatureRefusal {
    fn text(&self) -> Text {
        match self {
            Self::Unsigned => Text::fixed("the element is not signed", "元素没有签名"),
            Self::ForeignElement => Text::fixed(
                "the element is not part of the document",
                "元素不属于该文档",
            ),
            Self::MissingId => Text::fixed("the signed element has no ID", "签名的元素没有 ID"),
            Self::RepeatedId => Text::fixed(
                "two elements of the document have the same ID",
                "文档中有两个元素的 ID 相同",
            ),
            Self::SeveralSignatures => {
                Text::fixed("the element has several signatures", "元素有多个签名")
            }
            Self::SeveralReferences => Text::fixed(
                "the signature has several references",
                "签名有多个 Reference",
            ),
            Self::UnexpectedContent(it) => text!(
                "the signature has {it}, which is not allowed",
                "签名含有不允许的内容：{it}"
            ),
            Self::Missing(it) => text!("the signature lacks {it}", "签名缺少 {it}"),
            Self::ForeignReference => Text::fixed(
                "the signature refers to another element than the one that holds it",
                "签名引用的不是它所在的元素",
            ),
            Self::Transforms => Text::fixed(
                "the transforms are not enveloped-signature and exclusive canonicalization",
                "变换应为 enveloped-signature 加 exclusive canonicalization",
            ),
            Self::Canonicalization => Text::fixed(
                "the canonicalization is not the exclusive one without comments",
                "规范化应为不含注释的 exclusive canonicalization",
            ),
            Self::Algorithm(it) => text!(
                "the {it} is none of those that are accepted",
                "不接受这个算法：{it}"
            ),
            Self::Sha1 => Text::fixed("the signature uses SHA-1", "签名使用了 SHA-1"),
            Self::Encoding(it) => text!("the {it} is not base64", "{it} 不是 base64"),
            Self::NoKeyVerifies => Text::fixed(
                "no key of the source verifies the signature",
                "认证源的公钥都无法验证这个签名",
            ),
            Self::Digest => Text::fixed(
                "the element was altered after it was signed",
                "元素在签名之后被改动过",
            ),
            Self::TooLarge => Text::fixed("the signed element is too large", "签名的元素过大"),
            Self::Unreadable(_) => {
                Text::fixed("the signed element cannot be read", "签名的元素无法读取")
            }
            Self::Parameter(it) => text!(
                "the query does not have exactly one {it}",
                "查询参数中应恰好有一个 {it}"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(source) => Some(source),
            Self::Unsigned
            | Self::ForeignElement
            | Self::MissingId
            | Self::RepeatedId
            | Self::SeveralSignatures
            | Self::SeveralReferences
            | Self::UnexpectedContent(_)
            | Self::Missing(_)
            | Self::ForeignReference
            | Self::Transforms
            | Self::Canonicalization
            | Self::Algorithm(_)
            | Self::Sha1
            | Self::Encoding(_)
            | Self::NoKeyVerifies
            | Self::Digest
            | Self::TooLarge
            | Self::Parameter(_) => None,
        }
    }
}

error_of_text!(SignatureRefusal, caused);
