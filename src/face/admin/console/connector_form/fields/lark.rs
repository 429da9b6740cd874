//! 飞书, or Lark.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "lark",
    name: words("飞书", "Feishu or Lark"),
    about: words(
        "浏览器里扫码，飞书里免登。需要一个企业自建应用。",
        "A QR code in a browser, no click inside Feishu. Needs a self-built application.",
    ),
    addresses: &[
        address(
            Place::Callback,
            "安全设置 → 重定向 URL",
            "安全设置 → 重定向 URL",
        ),
        address(
            Place::Start,
            "网页应用 → 桌面端主页、移动端主页",
            "网页应用 → 桌面端主页, 移动端主页",
        ),
        address(
            Place::Events,
            "事件与回调 → 事件配置 → 请求地址",
            "事件与回调 → 事件配置 → 请求地址",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "飞书的应用", "The application at Feishu", SOURCE),
    section(
        "directory",
        "离职与通讯录",
        "Leavers and the directory",
        DIRECTORY,
    ),
    section("directory-sync", "同步", "Sync", SYNC).folded(),
    section("events", "事件", "Events", EVENTS).folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("lark.app_id", Control::Text, "App ID", "App ID")
        .hint("凭证与基础信息 → App ID，以 cli_ 开头。", "凭证与基础信息 → App ID; it begins with cli_.")
        .required(),
    field("lark.app_secret", Control::Secret, "App Secret", "App Secret")
        .hint("在同一页。", "From the same page.")
        .required(),
    field(
        "lark.brand",
        Control::Choice(&[
            choice("feishu", "飞书（中国）", "Feishu (China)"),
            choice("lark", "Lark（国际版）", "Lark (international)"),
        ]),
        "服务",
        "Service",
    )
    .default("feishu"),
    field("lark.tenant_key", Control::Text, "企业的 tenant_key", "tenant_key of the tenant").hint(
        "只有这个企业的人能登录。空着就是应用所在的企业，应用需要权限 tenant:tenant:readonly。",
        "Only its people sign in. Empty: the tenant of the application, which then needs the permission \
         tenant:tenant:readonly.",
    ),
];

const DIRECTORY: &[Field] = &[
    field("lark.contacts", Control::Check, "读取通讯录", "Read the contacts")
        .hint(
            "核对人员状态和部门：暂停、离职的人会被拒绝和退出登录。应用需要通讯录权限。",
            "Status and departments: people who are frozen or have left are refused and signed out. The application needs \
             permissions for contacts.",
        )
        .default("false"),
];

const SYNC: &[Field] = directory_fields!(
    "lark",
    "开启“读取通讯录”时，把应用能看到的部门和人员读入通讯录，例如 1h。空着：只在手动或用命令时同步。",
    "With the contacts: reads the departments and people that the application may see, such as 1h. Empty: only when \
     asked for."
);

const EVENTS: &[Field] = &[
    field("lark.events", Control::Switch, "接收飞书的事件", "Receive events of Feishu").hint(
        "离职的人立即退出登录。需要“读取通讯录”和下面的 Verification Token。",
        "People who leave are signed out at once. Needs the contacts, and the Verification Token below.",
    ),
    field("lark.events.verification_token", Control::Secret, "Verification Token", "Verification Token")
        .hint("事件与回调 → 加密策略。", "事件与回调 → 加密策略."),
    field("lark.events.encrypt_key", Control::Secret, "Encrypt Key", "Encrypt Key").hint(
        "在同一页。设了以后，只接收加密并签名的事件。",
        "From the same page. With it every event is encrypted and signed, and others are refused.",
    ),
    field("lark.events.time_tolerance", Control::Text, "允许的时间偏差", "Tolerated difference of time")
        .hint("飞书推送失败会重推约七小时。", "Feishu repeats what it could not deliver for about seven hours.")
        .default("8h"),
];

const MORE: &[Field] = &[
    field(
        "lark.scopes",
        Control::List,
        "另外请求的权限",
        "Further permissions",
    )
    .hint(
        "每行一个，登录时请本人同意。",
        "One on each line. People are asked for them at a login.",
    ),
    field(
        "lark.api_base",
        Control::Url,
        "接口地址",
        "Base URL of the API",
    )
    .hint("空着就按“服务”。", "Empty: that of the service."),
    field(
        "lark.accounts_base",
        Control::Url,
        "登录页的主机",
        "Base URL of the login page",
    )
    .hint("空着就按“服务”。", "Empty: that of the service."),
    field("lark.authorize_url", Control::Url, "登录页", "Login page"),
    field("lark.token_url", Control::Url, "令牌地址", "Token endpoint"),
];
