//! OpenID Connect.

use super::super::field::{Choice, Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "oidc",
    name: words("OpenID Connect", "OpenID Connect"),
    about: words(
        "Keycloak、Entra ID、Google 等 OpenID 提供方。",
        "Keycloak, Entra ID, Google and other OpenID providers.",
    ),
    addresses: &[address(
        Place::Callback,
        "客户端的重定向 URI（redirect_uri）",
        "Redirect URI of the client",
    )],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "提供方与客户端", "Provider and client", SOURCE),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("oidc.issuer", Control::Text, "颁发者（issuer）", "Issuer")
        .hint(
            "与提供方元数据里的完全一致，包括末尾的斜杠，例如 https://id.corp.example/realms/corp。",
            "Exactly as the metadata of the provider names it, such as https://id.corp.example/realms/corp. A slash at the \
             end matters.",
        )
        .required(),
    field("oidc.client_id", Control::Text, "客户端 ID", "Client ID")
        .hint("在提供方登记 menshen 时得到。", "What the provider gave to menshen.")
        .required(),
    field("oidc.client_secret", Control::Secret, "客户端密钥", "Client secret").hint(
        "没有它、也没有私钥：menshen 是公开客户端，只由 PKCE 保护。",
        "Without it and without a private key, menshen is a public client, which only PKCE protects.",
    ),
    field("oidc.scopes", Control::List, "请求的范围（scope）", "Scopes")
        .hint("每行一个，必须有 openid。", "One on each line; openid is required.")
        .default("openid profile email"),
];

/// The ways of a client to authenticate.
pub(super) const CLIENT_AUTHS: &[Choice] = &[
    choice("", "默认", "Default"),
    choice(
        "basic",
        "在 Authorization 头里发送密钥",
        "The secret in the header",
    ),
    choice("post", "在表单里发送密钥", "The secret in the form"),
    choice(
        "private-key-jwt",
        "用私钥签名",
        "Signed with the private key",
    ),
];

const MORE: &[Field] = &[
    field("oidc.client_auth", Control::Choice(CLIENT_AUTHS), "客户端的认证方式", "How the client authenticates")
        .hint("默认：按元数据。", "Default: as the metadata says."),
    field("oidc.private_key", Control::SecretLines, "私钥（PEM）", "Private key (PEM)").hint(
        "代替客户端密钥；公钥登记在提供方。RSA、EC P-256、P-384 或 Ed25519。",
        "Instead of a secret; its public key is registered at the provider. RSA, EC P-256, P-384 or Ed25519.",
    ),
    field("oidc.private_key_id", Control::Text, "私钥的 kid", "kid of the private key"),
    field("oidc.tenants", Control::List, "允许的租户", "Tenants").hint(
        "每行一个 ID。颁发者里有 {tenantid} 时才需要；* 表示全部。",
        "One ID on each line, where the issuer has {tenantid}; * allows every tenant.",
    ),
    field("oidc.userinfo", Control::Check, "读取 userinfo", "Read userinfo")
        .hint("内容并入 ID 令牌的声明。", "It is added to the claims of the ID token.")
        .default("true"),
    field(
        "oidc.response_mode",
        Control::Choice(&[
            choice("query", "在地址里", "In the URL"),
            choice("form_post", "用 POST，需要 https", "By a POST; needs https"),
        ]),
        "返回授权码的方式",
        "How the code comes back",
    )
    .default("query"),
    field("oidc.metadata_url", Control::Url, "元数据的地址", "URL of the metadata")
        .hint("不在颁发者之下时才填。", "If it is not below the issuer."),
    field("oidc.jwks_url", Control::Url, "公钥的地址", "URL of the keys")
        .hint("代替元数据里的 jwks_uri。", "Instead of jwks_uri in the metadata."),
    field("oidc.algorithms", Control::List, "接受的签名算法", "Accepted algorithms").hint(
        "每行一个，例如 RS256。空着：RS、PS 的 256、384、512，ES256、ES384 和 EdDSA。",
        "One on each line, such as RS256. Empty: RS and PS of 256, 384 and 512 bits, ES256, ES384 and EdDSA.",
    ),
    field("oidc.authorize_params", Control::Table, "授权请求的其他参数", "Further parameters of the authorization request").hint(
        "每行一个：kc_idp_hint = \"staff\"。",
        "One on each line: kc_idp_hint = \"staff\".",
    ),
];
