//! A signed token of a portal.

use super::super::field::{Choice, Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "jwt",
    name: words("门户的签名令牌（JWT）", "Signed token of a portal (JWT)"),
    about: words(
        "用户已经登录了门户，由门户让浏览器带着签名的令牌跳转过来。",
        "People are signed in at a portal, which sends them with a signed token.",
    ),
    addresses: &[address(
        Place::Enter,
        "门户让浏览器跳转到这里，令牌在参数里",
        "Where the portal sends people, with the token as a parameter",
    )],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "令牌", "The token", SOURCE),
    section("decrypt", "加密的令牌", "Encrypted tokens", DECRYPT).folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const ALGORITHMS: &[Choice] = &[
    choice("", "请选择", "Choose one"),
    choice("HS256", "HS256", "HS256"),
    choice("HS384", "HS384", "HS384"),
    choice("HS512", "HS512", "HS512"),
    choice("RS256", "RS256", "RS256"),
    choice("RS384", "RS384", "RS384"),
    choice("RS512", "RS512", "RS512"),
    choice("PS256", "PS256", "PS256"),
    choice("PS384", "PS384", "PS384"),
    choice("PS512", "PS512", "PS512"),
    choice("ES256", "ES256", "ES256"),
    choice("ES384", "ES384", "ES384"),
    choice("EdDSA", "EdDSA", "EdDSA"),
];

const ENCODINGS: &[Choice] = &[
    choice("text", "文字", "Text"),
    choice("base64", "Base64", "Base64"),
];

const SOURCE: &[Field] = &[
    field("jwt.algorithm", Control::Choice(ALGORITHMS), "签名算法", "Algorithm of the signature")
        .hint("只接受这一种。HS 是共享密钥，其余是密钥对。", "No other is accepted. HS has a shared secret, the others a key pair.")
        .required(),
    field("jwt.key", Control::Keys, "密钥", "Key").hint(
        "HS 填共享密钥（32、48 或 64 字节），其余填门户的公钥或证书（PEM）。门户换密钥期间可以写两个，中间空一行。",
        "The shared secret for HS (32, 48 or 64 bytes), else the public key or certificate of the portal (PEM). Several with \
         an empty line between them, while the portal changes its key.",
    ),
    field("jwt.key_encoding", Control::Choice(ENCODINGS), "共享密钥的写法", "How the shared secret is written")
        .default("text"),
    field("jwt.jwks_url", Control::Url, "公钥的地址（JWKS）", "URL of the public keys (JWKS)")
        .hint("代替密钥；HS 不能用。", "Instead of the key. Not for HS."),
    field("jwt.issuer", Control::Text, "颁发者（iss）", "Issuer (iss)").hint("空着：不核对。", "Empty: it is not checked."),
    field("jwt.audience", Control::Text, "受众（aud）", "Audience (aud)")
        .hint("空着：带 aud 的令牌会被拒绝。", "Empty: a token with an aud is refused."),
    field("jwt.origins", Control::List, "门户的来源（origin）", "Origins of the portal").hint(
        "每行一个，例如 https://portal.corp.example。空着：任何页面都能让浏览器带着令牌跳转过来，别人就可能让某人以其他身份登录。",
        "One on each line, such as https://portal.corp.example. Empty: any page may send people, and so anybody can sign a \
         person in as somebody else.",
    ),
];

const DECRYPT: &[Field] = &[
    field(
        "jwt.decrypt",
        Control::Switch,
        "令牌是加密的",
        "Tokens are encrypted",
    )
    .hint(
        "没有加密的令牌会被拒绝。",
        "A token that is not encrypted is refused.",
    ),
    field(
        "jwt.decrypt.algorithm",
        Control::Choice(&[
            choice("", "请选择", "Choose one"),
            choice("dir", "dir", "dir"),
            choice("A128KW", "A128KW", "A128KW"),
            choice("A256KW", "A256KW", "A256KW"),
            choice("A128GCMKW", "A128GCMKW", "A128GCMKW"),
            choice("A256GCMKW", "A256GCMKW", "A256GCMKW"),
            choice("RSA-OAEP", "RSA-OAEP", "RSA-OAEP"),
            choice("RSA-OAEP-256", "RSA-OAEP-256", "RSA-OAEP-256"),
            choice("ECDH-ES", "ECDH-ES", "ECDH-ES"),
            choice("ECDH-ES+A256KW", "ECDH-ES+A256KW", "ECDH-ES+A256KW"),
        ]),
        "密钥的加密（alg）",
        "Encryption of the key (alg)",
    ),
    field(
        "jwt.decrypt.method",
        Control::Choice(&[
            choice("", "请选择", "Choose one"),
            choice("A128GCM", "A128GCM", "A128GCM"),
            choice("A256GCM", "A256GCM", "A256GCM"),
            choice("A128CBC-HS256", "A128CBC-HS256", "A128CBC-HS256"),
            choice("A256CBC-HS512", "A256CBC-HS512", "A256CBC-HS512"),
        ]),
        "内容的加密（enc）",
        "Encryption of the content (enc)",
    ),
    field(
        "jwt.decrypt.key",
        Control::SecretLines,
        "解密的密钥",
        "Key that decrypts",
    )
    .hint(
        "共享密钥，或 menshen 的私钥（PEM）。",
        "The shared secret, or the private key of menshen (PEM).",
    ),
    field(
        "jwt.decrypt.key_encoding",
        Control::Choice(ENCODINGS),
        "共享密钥的写法",
        "How the shared secret is written",
    )
    .default("text"),
];

const MORE: &[Field] = &[
    field(
        "jwt.parameter",
        Control::Text,
        "参数名",
        "Name of the parameter",
    )
    .default("token"),
    field(
        "jwt.subject",
        Control::Lines,
        "识别账号的 ID",
        "ID that identifies the account",
    )
    .hint(
        "读 profile（令牌的声明）的 CEL；它永远不能变，也不能给别人用。",
        "CEL over profile, the claims. It must never change and never be given to another person.",
    )
    .default("profile.sub"),
    field(
        "jwt.lifetime_max",
        Control::Text,
        "令牌的最长有效期",
        "Longest lifetime of a token",
    )
    .default("5m"),
    field(
        "jwt.clock_skew",
        Control::Text,
        "允许的时钟偏差",
        "Tolerated clock difference",
    )
    .default("30s"),
    field(
        "jwt.on_routes",
        Control::Check,
        "应用的地址也接受令牌",
        "Accept the token in URLs of applications, too",
    )
    .hint(
        "没有人登录时，在应用的地址里带令牌也能登录；令牌随后从地址里去掉。",
        "If nobody is signed in there. The token is then removed from the URL.",
    )
    .default("false"),
];
