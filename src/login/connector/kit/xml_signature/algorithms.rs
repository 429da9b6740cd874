//! The accepted algorithms and their identifiers.

use aws_lc_rs::digest::{self, Digest};

use super::{SignaturePolicy, SignatureRefusal};

pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Without comments. Its prefix also names the element `InclusiveNamespaces`.
pub(super) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
}

impl Hash {
    /// The hash that `DigestMethod` names.
    pub(super) fn of_digest_method(
        identifier: &str,
        policy: SignaturePolicy,
    ) -> Result<Self, SignatureRefusal> {
        let hash = match identifier {
            "http://www.w3.org/2000/09/xmldsig#sha1" => Self::Sha1,
            SHA256 => Self::Sha256,
            "http://www.w3.org/2001/04/xmldsig-more#sha384" => Self::Sha384,
            "http://www.w3.org/2001/04/xmlenc#sha512" => Self::Sha512,
            _ => return Err(SignatureRefusal::Algorithm("digest method")),
        };
        hash.permitted(policy)
    }

    fn permitted(self, policy: SignaturePolicy) -> Result<Self, SignatureRefusal> {
        if self == Self::Sha1 && !policy.allow_sha1 {
            return Err(SignatureRefusal::Sha1);
        }
        Ok(self)
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }
}

impl SignatureAlgorithm {
    /// The algorithm that `SignatureMethod` or `SigAlg` names. HMAC is none: its key would be the public
    /// one.
    pub(super) fn of_signature_method(
        identifier: &str,
        policy: SignaturePolicy,
    ) -> Result<Self, SignatureRefusal> {
        let algorithm = match identifier {
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1" => Self::RsaPkcs1(Hash::Sha1),
            RSA_SHA256 => Self::RsaPkcs1(Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Self::RsaPkcs1(Hash::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Self::RsaPkcs1(Hash::Sha512),
            "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1" => Self::RsaPss(Hash::Sha256),
            "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1" => Self::RsaPss(Hash::Sha384),
            "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1" => Self::RsaPss(Hash::Sha512),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Self::Ecdsa(Hash::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => Self::Ecdsa(Hash::Sha384),
            _ => return Err(SignatureRefusal::Algorithm("signature method")),
        };
        let (Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash)) = algorithm;
        hash.permitted(policy)?;
        Ok(algorithm)
    }
}
