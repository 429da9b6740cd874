//! A portal whose protocol the steps describe.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "custom",
    name: words("自定义协议", "A protocol of its own"),
    about: words(
        "用步骤描述门户自己的登录协议。",
        "Steps describe the protocol of a portal that no other kind speaks.",
    ),
    addresses: &[
        address(Place::Callback, "门户登录后回到", "The portal returns to"),
        address(
            Place::Enter,
            "由门户发起登录时，让浏览器跳转到这里",
            "Where the portal sends people if it starts the login",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "登录步骤", "The steps of a login", SOURCE),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("custom.authorize_url", Control::Url, "门户的登录页", "Login page of the portal").hint(
        "登录从这里开始。空着：只能由门户发起登录。",
        "Where a login begins. Empty: only the portal starts logins.",
    ),
    field("custom.authorize", Control::Table, "登录页的参数", "Parameters of the login page").hint(
        "每行一个：名称 = \"CEL\"，读 callback、state、secrets 和 now；其中一个必须带 state，例如 redirect_uri = \"callback\"。",
        "One on each line: name = \"CEL\" over callback, state, secrets and now. One of them must carry state. Such as \
         redirect_uri = \"callback\".",
    ),
    field("custom.secrets", Control::Secrets, "新的密钥", "New secrets").hint(
        "每行一个：名称 = \"密钥\"；表达式里用 secrets.名称。保存后不再显示。",
        "One on each line: name = \"secret\". Expressions read them as secrets.NAME. Never shown once they are saved.",
    ),
    field("custom.step", Control::Tables, "步骤", "Steps").hint(
        "TOML：每个 [[step]] 是一个请求，依次执行，最多八个；有 name、method、url、query、headers、form 或 json、success、cache。",
        "TOML: each [[step]] is a request, in this order, at most eight, with name, method, url, query, headers, form or json, \
         success, cache.",
    ),
    field("custom.subject", Control::Lines, "识别账号的 ID", "ID that identifies the account")
        .hint(
            "CEL，例如 steps.user.data.id；它永远不能变，也不能给别人用。",
            "CEL, such as steps.user.data.id. It must never change and never be given to another person.",
        )
        .required(),
    field("custom.profile", Control::Lines, "资料", "Profile")
        .hint(
            "CEL，例如 steps.user.data；字段映射读它。",
            "CEL, such as steps.user.data: what the mapping reads as profile.",
        )
        .required(),
];

const MORE: &[Field] = &[
    field(
        "custom.code",
        Control::Text,
        "带回 code 的参数",
        "Parameter with the code",
    )
    .default("code"),
    field(
        "custom.state",
        Control::Filled,
        "带回 state 的参数",
        "Parameter with the state",
    )
    .hint(
        "空着：门户不带回 state，改由回调地址自己携带。",
        "Empty: the portal returns none; then the callback URL carries the state in its own query.",
    )
    .default("state"),
    field(
        "custom.entry",
        Control::Text,
        "门户发起登录的参数",
        "Parameter of a login that the portal starts",
    )
    .hint(
        "例如 ticket。空着：门户不能发起登录。",
        "Such as ticket. Empty: the portal starts none.",
    ),
    field(
        "custom.entry_replay",
        Control::Text,
        "记住用过的值多久",
        "How long a used value is remembered",
    )
    .hint(
        "至少与门户接受它的时间一样长。",
        "At least as long as the portal accepts it.",
    )
    .default("1h"),
    field(
        "custom.origins",
        Control::List,
        "允许的来源页面",
        "Origins people may come from",
    )
    .hint(
        "每行一个。空着：任何页面，别人就可能让某人以其他身份登录。",
        "One on each line. Empty: any page, and so anybody can sign a person in as somebody else.",
    ),
];
