//! 云之家.

use super::super::field::{Control, Field, Place, Section};
use super::super::field::{address, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "yunzhijia",
    name: words("云之家", "Yunzhijia"),
    about: words(
        "从云之家的工作台进入，浏览器里扫码。需要一个轻应用。",
        "From the workbench of Yunzhijia, and a QR code in a browser. Needs a light application.",
    ),
    addresses: &[
        address(Place::Enter, "应用 → 首页地址", "The application: 首页地址"),
        address(
            Place::Callback,
            "扫码登录后回到",
            "Logins with the QR code return to",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section(
        "source",
        "云之家的应用",
        "The application at Yunzhijia",
        SOURCE,
    ),
    section(
        "directory-sync",
        "离职与通讯录",
        "Leavers and the directory",
        SYNC,
    )
    .folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("yunzhijia.app_id", Control::Text, "appId", "appId")
        .hint("管理中心 → 应用管理 → 轻应用。", "管理中心 → 应用管理 → the light application (轻应用).")
        .required(),
    field("yunzhijia.app_secret", Control::Secret, "appSecret", "appSecret")
        .hint("在同一页。", "From the same page.")
        .required(),
    field("yunzhijia.eid", Control::Text, "团队的 eid", "eid of the team")
        .hint("其他团队的人不能登录。", "People of other teams are refused.")
        .required(),
    field("yunzhijia.contacts", Control::Check, "读取组织人员", "Read the contacts of the team")
        .hint(
            "核对是否还在团队里，以及部门：离开的人会被拒绝和退出登录。",
            "Who is still in the team, and in which department: people who left are refused and signed out.",
        )
        .default("false"),
];

const SYNC: &[Field] = directory_fields!(
    "yunzhijia",
    "开启“读取组织人员”时，把团队的部门和人员读入通讯录，例如 1h。空着：只在手动或用命令时同步。",
    "With the contacts: reads the departments and people of the team, such as 1h. Empty: only when asked for."
);

const MORE: &[Field] = &[
    field(
        "yunzhijia.base",
        Control::Url,
        "云之家的地址",
        "Base URL of Yunzhijia",
    )
    .hint("私有部署时才改。", "For a private deployment.")
    .default("https://www.yunzhijia.com"),
    field(
        "yunzhijia.origins",
        Control::List,
        "允许的来源页面",
        "Origins people may come from",
    )
    .hint(
        "每行一个。空着：任何页面，别人就可能让某人以其他身份登录。",
        "One on each line. Empty: any page, and so anybody can sign a person in as somebody else.",
    ),
];
