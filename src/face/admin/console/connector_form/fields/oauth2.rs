//! OAuth 2 with a profile endpoint.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::{KindForm, oidc};

pub(super) static FORM: KindForm = KindForm {
    kind: "oauth2",
    name: words("OAuth 2", "OAuth 2"),
    about: words(
        "没有 OpenID Connect 的提供方：GitHub、GitLab、Gitee，或自建系统。",
        "Providers without OpenID Connect: GitHub, GitLab, Gitee, or a system of your own.",
    ),
    addresses: &[address(
        Place::Callback,
        "客户端的回调地址（redirect_uri）",
        "Callback URL of the client (redirect_uri)",
    )],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "提供方与客户端", "Provider and client", SOURCE),
    section("endpoints", "接口", "Endpoints", ENDPOINTS),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field(
        "oauth2.preset",
        Control::Choice(&[
            choice("", "没有，下面自己写", "None: written below"),
            choice("github", "GitHub", "GitHub"),
            choice("gitlab", "GitLab", "GitLab"),
            choice("google", "Google", "Google"),
            choice("microsoft", "Microsoft Entra ID", "Microsoft Entra ID"),
            choice("keycloak", "Keycloak", "Keycloak"),
            choice("gitee", "Gitee 码云", "Gitee"),
            choice("feishu", "飞书", "Feishu"),
        ]),
        "预设",
        "Preset",
    )
    .hint(
        "自带接口、范围和字段映射；下面填写的会覆盖它。",
        "Has endpoints, scopes and mapping; what is written below counts first.",
    ),
    field("oauth2.base_url", Control::Url, "提供方的地址", "Base URL of the provider").hint(
        "自建的 GitLab、GitHub，Keycloak 的 realm，Microsoft 的租户，或 Lark。",
        "A self-hosted GitLab or GitHub, the realm of Keycloak, the tenant of Microsoft, or Lark.",
    ),
    field("oauth2.client_id", Control::Text, "客户端 ID", "Client ID")
        .hint("在提供方登记 menshen 时得到。", "What the provider gave to menshen.")
        .required(),
    field("oauth2.client_secret", Control::Secret, "客户端密钥", "Client secret").hint(
        "没有它、也没有私钥：menshen 是公开客户端，只由 PKCE 保护。",
        "Without it and without a private key, menshen is a public client, which only PKCE protects.",
    ),
];

const ENDPOINTS: &[Field] = &[
    field("oauth2.authorize_url", Control::Url, "授权地址", "Authorization endpoint")
        .hint("没有预设时必填，下面两个也是。", "Required without a preset, as the next two."),
    field("oauth2.token_url", Control::Url, "令牌地址", "Token endpoint"),
    field("oauth2.profile_url", Control::Url, "用户资料的地址", "URL of the profile"),
    field("oauth2.subject", Control::Lines, "识别账号的 ID", "ID that identifies the account").hint(
        "读 profile 的 CEL，例如 string(profile.id)；它永远不能变，也不能给别人用。没有预设时必填。",
        "CEL over profile, such as string(profile.id). It must never change and never be given to another person. Required \
         without a preset.",
    ),
    field("oauth2.scopes", Control::List, "请求的范围（scope）", "Scopes").hint("每行一个。", "One on each line."),
];

const MORE: &[Field] = &[
    field("oauth2.vouched_email", Control::Lines, "提供方核实过的邮箱", "E-mail that the provider verified").hint(
        "CEL，例如 profile.email_verified ? profile.email : null；只有它用于关联账号。",
        "CEL, such as profile.email_verified ? profile.email : null. Accounts are linked by no other address.",
    ),
    field("oauth2.client_auth", Control::Choice(oidc::CLIENT_AUTHS), "客户端的认证方式", "How the client authenticates")
        .hint("默认：按预设，否则在 Authorization 头里。", "Default: as the preset, else in the header."),
    field("oauth2.private_key", Control::SecretLines, "私钥（PEM）", "Private key (PEM)")
        .hint("代替客户端密钥。", "Instead of a secret."),
    field("oauth2.private_key_id", Control::Text, "私钥的 kid", "kid of the private key"),
    field("oauth2.pkce", Control::OptionalCheck, "使用 PKCE", "Use PKCE")
        .hint("默认：按预设，否则使用。", "Default: as the preset, else yes."),
    field("oauth2.send_redirect_uri", Control::Check, "发送 redirect_uri", "Send redirect_uri")
        .hint(
            "只认一个回调地址、且拒绝这个参数的提供方才关掉。",
            "Without it: for a provider that knows one callback URL and refuses the parameter.",
        )
        .default("true"),
    field("oauth2.scope_separator", Control::Verbatim, "范围之间的分隔符", "Separator of scopes")
        .hint("空着：一个空格。", "Empty: a space."),
    field("oauth2.token_at", Control::Text, "令牌在响应中的位置", "Where the tokens are in the response")
        .hint("JSON 指针，例如 /data。", "A JSON pointer, such as /data."),
    field("oauth2.profile_at", Control::Text, "资料在响应中的位置", "Where the profile is in the response")
        .hint("JSON 指针，例如 /data。", "A JSON pointer, such as /data."),
    field(
        "oauth2.profile_auth",
        Control::Choice(&[
            choice("", "默认", "Default"),
            choice("bearer", "Authorization 头", "In the header"),
            choice("query", "参数 access_token", "Parameter access_token"),
        ]),
        "读资料时怎样发送令牌",
        "How the access token is sent",
    ),
    field("oauth2.profiles", Control::Table, "另外读取的资料", "Further requests at a login").hint(
        "每行一个：名称 = \"地址\"；结果是 profile.名称。",
        "One on each line: name = \"URL\". Each response becomes profile.NAME.",
    ),
    field("oauth2.authorize_params", Control::Table, "授权请求的其他参数", "Further parameters of the authorization request")
        .hint("每行一个：allow_signup = \"false\"。", "One on each line: allow_signup = \"false\"."),
    field("oauth2.return_param", Control::Text, "携带返回地址的参数", "Parameter with the return address").hint(
        "授权请求里带上登录后去的地址，例如 returnUrl。",
        "The authorization request then carries where the person returns to, such as returnUrl.",
    ),
    field("oauth2.logout_url", Control::Url, "提供方的退出页", "Logout page of the provider"),
    field("oauth2.logout_return_param", Control::Text, "退出页的返回参数", "Its parameter for the return address"),
];
