//! 钉钉.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "dingtalk",
    name: words("钉钉", "DingTalk"),
    about: words(
        "浏览器里扫码，钉钉里免登。需要一个企业内部应用。",
        "A QR code in a browser, no click inside DingTalk. Needs an internal application.",
    ),
    addresses: &[
        address(
            Place::Callback,
            "开发配置 → 安全设置 → 重定向URL",
            "开发配置 → 安全设置 → 重定向URL",
        ),
        address(
            Place::Start,
            "网页应用 → 应用首页地址、PC端首页地址",
            "网页应用 → 应用首页地址, PC端首页地址",
        ),
        address(
            Place::Enter,
            "网页应用 → 管理后台地址",
            "网页应用 → 管理后台地址",
        ),
        address(
            Place::Events,
            "开发配置 → 事件订阅 → HTTP推送 → 请求网址",
            "开发配置 → 事件订阅 → HTTP推送 → 请求网址",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section(
        "source",
        "钉钉的应用",
        "The application at DingTalk",
        SOURCE,
    ),
    section(
        "directory-sync",
        "离职与通讯录",
        "Leavers and the directory",
        SYNC,
    )
    .folded(),
    section("events", "事件", "Events", EVENTS).folded(),
    section(
        "back-end",
        "从管理后台进入",
        "Entry from the admin console",
        BACK_END,
    )
    .folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field(
        "dingtalk.app_key",
        Control::Text,
        "Client ID（原 AppKey）",
        "Client ID (formerly AppKey)",
    )
    .hint(
        "开发者后台 → 应用开发 → 应用 → 凭证与基础信息。",
        "开发者后台 → 应用开发 → the application → 凭证与基础信息.",
    )
    .required(),
    field(
        "dingtalk.app_secret",
        Control::Secret,
        "Client Secret（原 AppSecret）",
        "Client Secret (formerly AppSecret)",
    )
    .hint("在同一页。", "From the same page.")
    .required(),
    field("dingtalk.corp_id", Control::Text, "CorpId", "CorpId")
        .hint(
            "开发者后台首页。只有这个企业的内部员工能登录。",
            "The first page of 开发者后台. Only its internal members sign in.",
        )
        .required(),
    field(
        "dingtalk.mode",
        Control::Choice(&[
            choice("auto", "按客户端选择", "As the client needs"),
            choice("web", "总是扫码", "Always the QR code"),
            choice("in-app", "总是按钉钉内处理", "Always as inside DingTalk"),
        ]),
        "登录方式",
        "How people sign in",
    )
    .default("auto"),
];

const SYNC: &[Field] = directory_fields!(
    "dingtalk",
    "把应用能看到的部门和成员读入通讯录，例如 1h。空着：只在手动或用命令时同步。",
    "Reads the departments and members that the application may see, such as 1h. Empty: only when asked for."
);

const EVENTS: &[Field] = &[
    field(
        "dingtalk.events",
        Control::Switch,
        "接收钉钉的事件",
        "Receive events of DingTalk",
    )
    .hint(
        "离职的人立即退出登录。填写下面的 token 和 aes_key。",
        "People who leave are signed out at once. Give the token and the aes_key below.",
    ),
    field(
        "dingtalk.events.token",
        Control::Secret,
        "签名 token",
        "签名 token",
    )
    .hint(
        "应用 → 开发配置 → 事件订阅 → HTTP推送。",
        "The application → 开发配置 → 事件订阅 → HTTP推送.",
    ),
    field(
        "dingtalk.events.encoding_aes_key",
        Control::Secret,
        "加密 aes_key",
        "加密 aes_key",
    )
    .hint(
        "在同一页，43 个字母和数字。",
        "From the same page: 43 letters and digits.",
    ),
    field(
        "dingtalk.events.time_tolerance",
        Control::Text,
        "允许的时间偏差",
        "Tolerated difference of time",
    )
    .default("5m"),
];

const BACK_END: &[Field] = &[
    field("dingtalk.sso_secret", Control::Secret, "SSOSecret", "SSOSecret").hint(
        "开发者后台首页。有了它，管理员可以从钉钉管理后台直接进来。",
        "The first page of 开发者后台. With it administrators may come from the admin console of DingTalk.",
    ),
    field("dingtalk.origins", Control::List, "允许的来源页面", "Origins they may come from").hint(
        "每行一个，例如 https://oa.dingtalk.com。空着：任何页面。",
        "One on each line, such as https://oa.dingtalk.com. Empty: any page.",
    ),
];

const MORE: &[Field] = &[
    field(
        "dingtalk.scope",
        Control::Choice(&[
            choice("openid", "只认出本人", "Who it is"),
            choice("openid corpid", "还要选择企业", "Also which organisation"),
        ]),
        "扫码页请求",
        "Requested on the QR page",
    )
    .hint(
        "选择的企业必须是这一个。",
        "The organisation must be this one.",
    )
    .default("openid"),
    field(
        "dingtalk.jsapi_url",
        Control::Url,
        "客户端脚本（JSAPI）",
        "Library for the client (JSAPI)",
    )
    .default("https://g.alicdn.com/dingding/dingtalk-jsapi/3.0.25/dingtalk.open.js"),
    field(
        "dingtalk.api_base",
        Control::Url,
        "新版接口地址",
        "Base URL of the newer API",
    )
    .hint(
        "私有部署或中转时才改。",
        "For a private deployment or a relay.",
    )
    .default("https://api.dingtalk.com"),
    field(
        "dingtalk.oapi_base",
        Control::Url,
        "旧版接口地址",
        "Base URL of the older API",
    )
    .default("https://oapi.dingtalk.com"),
    field(
        "dingtalk.login_url",
        Control::Url,
        "扫码登录页",
        "Login page with the QR code",
    )
    .default("https://login.dingtalk.com/oauth2/auth"),
];
