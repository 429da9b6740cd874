//! `HengshiKind`: the kinds of authentication that HENGSHI knows, and the kinds of connectors for them.

use super::names;

/// A kind of authentication, in the order of HENGSHI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HengshiKind {
    Hengshi,
    Ldap,
    Cas,
    Saml2,
    OAuth2,
    DingTalk,
    WechatWork,
    Ctr,
    Yunzhijia,
    JwtParam,
    Lark,
    Qince,
}

impl HengshiKind {
    pub(super) const ALL: [Self; 12] = [
        Self::Hengshi,
        Self::Ldap,
        Self::Cas,
        Self::Saml2,
        Self::OAuth2,
        Self::DingTalk,
        Self::WechatWork,
        Self::Ctr,
        Self::Yunzhijia,
        Self::JwtParam,
        Self::Lark,
        Self::Qince,
    ];

    /// The name in paths and in `active-auth`.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Hengshi => "hengshi",
            Self::Ldap => "ldap",
            Self::Cas => "cas",
            Self::Saml2 => "saml2",
            Self::OAuth2 => "oauth2",
            Self::DingTalk => "dingtalk",
            Self::WechatWork => "wechat-work",
            Self::Ctr => "ctr",
            Self::Yunzhijia => "yunzhijia",
            Self::JwtParam => "jwt-param",
            Self::Lark => "lark",
            Self::Qince => "qince",
        }
    }

    /// The name that HENGSHI shows.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Hengshi => "HENGSHI",
            Self::Ldap => "LDAP",
            Self::Cas => "CAS",
            Self::Saml2 => "SAML2",
            Self::OAuth2 => "OAUTH2",
            Self::DingTalk => "钉钉",
            Self::WechatWork => "企业微信",
            Self::Ctr => "CTR",
            Self::Yunzhijia => "云之家",
            Self::JwtParam => "JWT 请求参数",
            Self::Lark => "飞书",
            Self::Qince => "勤策",
        }
    }

    /// The kind of its connectors: the name of a table below `[connector.ID]`.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Hengshi => names::LOCAL,
            Self::Ldap => names::LDAP,
            Self::Cas => names::CAS,
            Self::Saml2 => names::SAML,
            Self::OAuth2 => names::OAUTH2,
            Self::DingTalk => names::DINGTALK,
            Self::WechatWork => names::WECOM,
            Self::Ctr | Self::Qince => names::CUSTOM,
            Self::Yunzhijia => names::YUNZHIJIA,
            Self::JwtParam => names::JWT,
            Self::Lark => names::LARK,
        }
    }

    pub(super) fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}
