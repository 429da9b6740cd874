//! SAML 2.0.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "saml",
    name: words("SAML 2.0", "SAML 2.0"),
    about: words(
        "Keycloak、Entra ID、AD FS、Shibboleth 等。external_url 必须是 https。",
        "Keycloak, Entra ID, AD FS, Shibboleth. external_url must be https.",
    ),
    addresses: &[
        address(
            Place::Metadata,
            "menshen 的元数据，也是实体 ID",
            "Metadata of menshen, which is its entity ID, too",
        ),
        address(
            Place::Callback,
            "断言消费地址（ACS），HTTP-POST",
            "Assertion consumer service (ACS), HTTP-POST",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "身份提供方", "The identity provider", SOURCE),
    section("key", "menshen 的密钥", "The key of menshen", KEY),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("saml.metadata", Control::Url, "元数据的地址", "URL of the metadata")
        .hint(
            "https，本机可以是 http。它写明谁的签名有效。",
            "https, or http on this machine. It names the keys that sign assertions.",
        )
        .required(),
    field("saml.name_id_format", Control::Text, "NameID 的格式", "Format of the NameID").hint(
        "persistent、transient、email、unspecified 或 URN；其他格式会被拒绝。空着：由对方选择。",
        "persistent, transient, email, unspecified or a URN; another format is refused. Empty: the identity provider \
         chooses.",
    ),
    field("saml.subject", Control::Lines, "识别账号的 ID", "ID that identifies the account").hint(
        "读 profile 的 CEL；它永远不能变，也不能给别人用。空着：NameID。",
        "CEL over profile. It must never change and never be given to another person. Empty: the NameID.",
    ),
];

const KEY: &[Field] = &[
    field("saml.private_key", Control::SecretLines, "私钥（PEM）", "Private key (PEM)").hint(
        "RSA，至少 2048 位。没有它：请求不签名，不接受加密的断言，没有单点退出。",
        "RSA with at least 2048 bits. Without it requests are not signed, nothing encrypted is accepted, and there is no \
         single logout.",
    ),
    field("saml.certificate_pem", Control::Lines, "它的证书（PEM）", "Its certificate (PEM)"),
    field("saml.certificate", Control::FileOnly, "证书文件", "File of the certificate"),
];

const MORE: &[Field] = &[
    field("saml.entity_id", Control::Text, "menshen 的实体 ID", "Entity ID of menshen")
        .hint("空着就是元数据的地址。", "Empty: the URL of its metadata."),
    field("saml.idp_entity_id", Control::Text, "身份提供方的实体 ID", "Entity ID of the identity provider")
        .hint("元数据里有好几个时才需要。", "If the metadata describes several."),
    field(
        "saml.binding",
        Control::Choice(&[
            choice("redirect", "HTTP-Redirect", "HTTP-Redirect"),
            choice("post", "HTTP-POST", "HTTP-POST"),
        ]),
        "发送登录请求的方式",
        "How login requests are sent",
    )
    .default("redirect"),
    field(
        "saml.signed",
        Control::Choice(&[
            choice("any", "断言或响应", "The assertion or the response"),
            choice("assertion", "断言", "The assertion"),
            choice("response", "响应", "The response"),
            choice("both", "两者", "Both"),
        ]),
        "必须签名的部分",
        "What must be signed",
    )
    .default("any"),
    field(
        "saml.encrypted",
        Control::Choice(&[
            choice("optional", "可以不加密", "Not required"),
            choice("required", "必须加密", "Required"),
        ]),
        "断言的加密",
        "Encryption of assertions",
    )
    .default("optional"),
    field("saml.idp_initiated", Control::Check, "允许由身份提供方发起登录", "The identity provider may start logins")
        .hint(
            "别人就可能让某人以其他身份登录；已有人登录时会先询问。",
            "Anybody could then sign a person in as somebody else. If another person is signed in, menshen asks first.",
        )
        .default("false"),
    field("saml.clock_skew", Control::Text, "允许的时钟偏差", "Tolerated clock difference").default("60s"),
    field("saml.metadata_refresh", Control::Text, "元数据的刷新间隔", "How often metadata is fetched")
        .hint("至少 10s。", "At least 10s.")
        .default("1h"),
    field("saml.allow_http", Control::Check, "允许明文 http 的元数据", "Fetch metadata over plain http")
        .hint("能改动网络的人就能冒充任何人。", "Whoever can change it on its way can sign in as anybody.")
        .default("false"),
    field("saml.allow_sha1", Control::Check, "接受 SHA-1 签名", "Accept signatures with SHA-1").default("false"),
    field("saml.allow_cbc", Control::Check, "接受 AES-CBC 加密", "Accept encryption with AES-CBC")
        .hint("只在响应有签名时。", "Only in a response that is signed.")
        .default("false"),
    field("saml.metadata_certificate", Control::FileOnly, "元数据签名证书的文件", "File of the certificate that signs the metadata"),
];
