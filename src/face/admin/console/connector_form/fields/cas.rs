//! CAS.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "cas",
    name: words("CAS", "CAS"),
    about: words(
        "CAS 服务器，例如 Apereo CAS。",
        "A CAS server, such as Apereo CAS.",
    ),
    addresses: &[address(
        Place::Callback,
        "登记为服务（service）",
        "Register it as a service",
    )],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "CAS 服务器", "The CAS server", SOURCE),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field(
        "cas.url",
        Control::Url,
        "服务器地址",
        "Base URL of the server",
    )
    .hint(
        "例如 https://sso.corp.example/cas；末尾的 /login 会去掉。",
        "Such as https://sso.corp.example/cas. A /login at its end is cut.",
    )
    .required(),
    field(
        "cas.version",
        Control::Choice(&[
            choice("3.0", "3.0", "3.0"),
            choice("2.0", "2.0", "2.0"),
            choice("1.0", "1.0", "1.0"),
        ]),
        "协议版本",
        "Version of the protocol",
    )
    .hint(
        "只有 3.0 保证有属性；1.0 只有用户名。",
        "Only 3.0 promises attributes; 1.0 has the user name alone.",
    )
    .default("3.0"),
    field(
        "cas.user_case",
        Control::Choice(&[
            choice("exact", "区分", "Tells people apart"),
            choice(
                "ignore",
                "不区分，一律用小写",
                "Does not: all in lower case",
            ),
        ]),
        "用户名的大小写",
        "Case of user names",
    )
    .hint(
        "有账号之后不要再改。",
        "Never change it once there are accounts.",
    )
    .default("exact"),
];

const MORE: &[Field] = &[
    field("cas.proxies", Control::List, "代理的回调地址", "Callback URLs of proxies").hint(
        "每行一个，与 CAS 服务器给出的完全一致。空着：不接受代理票据。",
        "One on each line, exactly as the CAS server names them. Empty: no proxy ticket is accepted.",
    ),
    field("cas.renew", Control::Check, "每次登录都输入密码", "Ask for the password at each login").default("false"),
    field("cas.single_logout", Control::Check, "随 CAS 一起退出", "Sign out together with CAS")
        .hint(
            "CAS 服务器在人退出时向回调地址发 POST。",
            "The CAS server posts to the callback URL when people sign out there.",
        )
        .default("true"),
    field("cas.allow_http", Control::Check, "允许明文 http", "Accept plain http")
        .hint(
            "能改动网络的人就能冒充任何人。",
            "Whoever can change the answers of the CAS server on their way can sign in as anybody.",
        )
        .default("false"),
    field("cas.login_url", Control::Url, "登录页", "Login page"),
    field("cas.validate_url", Control::Url, "验证票据的地址", "URL at which tickets are validated"),
    field("cas.logout_url", Control::Url, "退出页", "Logout page"),
];
