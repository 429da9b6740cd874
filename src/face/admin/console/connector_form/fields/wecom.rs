//! 企业微信.

use super::super::field::{Choice, Control, Field, Place, Section};
use super::super::field::{address, choice, field, section, words};
use super::{KindForm, every_kind};

pub(super) static FORM: KindForm = KindForm {
    kind: "wecom",
    name: words("企业微信", "WeCom"),
    about: words(
        "电脑上扫码，企业微信里免登。需要一个自建应用。",
        "A QR code on a computer, no click inside WeCom. Needs an application of your corporation.",
    ),
    addresses: &[
        address(
            Place::CallbackHost,
            "应用 → 网页授权及JS-SDK → 可信域名，以及 企业微信授权登录 → Web网页 → 授权回调域",
            "The application: 网页授权及JS-SDK → 可信域名, and 企业微信授权登录 → Web网页 → 授权回调域",
        ),
        address(Place::Callback, "登录后回到", "Logins return to"),
        address(
            Place::Start,
            "应用 → 工作台应用主页（电脑和手机填同一个，分别到下面的两个首页）",
            "The application: 工作台应用主页, for computer and phone; each leads to its home page below",
        ),
        address(
            Place::Events,
            "应用 → 接收消息 → 设置API接收 → URL",
            "The application: 接收消息 → 设置API接收 → URL",
        ),
    ],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "企业微信的应用", "The application at WeCom", SOURCE),
    section(
        "familiar",
        "与 NocoBase、Authing 对应的设置",
        "The settings of NocoBase and Authing",
        FAMILIAR,
    )
    .note(
        "在那些系统里配置过企业微信登录的管理员，在这里找到同样的设置。唯一标识就是这个认证源的 ID：保存以后不能改，账号靠它识别。",
        "Where administrators find what they set there. The unique identifier is the ID of this connector: it never \
         changes once it is saved, because accounts depend on it.",
    ),
    section("directory", "离职与通讯录", "Leavers and the directory", DIRECTORY).folded(),
    section("directory-sync", "同步", "Sync", SYNC).folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("wecom.corp_id", Control::Text, "企业 ID", "Corporation ID")
        .hint(
            "我的企业 → 企业信息 → 企业ID，以 ww 开头。",
            "我的企业 → 企业信息 → 企业ID; it begins with ww.",
        )
        .required(),
    field("wecom.agent_id", Control::Number, "AgentId", "AgentId")
        .hint(
            "应用管理 → 应用 → AgentId。",
            "应用管理 → the application → AgentId.",
        )
        .required(),
    field("wecom.secret", Control::Secret, "Secret", "Secret")
        .hint(
            "与 AgentId 在同一页。别的应用或通讯录同步的 Secret 不能用。",
            "From the same page. The Secret of another application or of 通讯录同步 does not work.",
        )
        .required(),
];

const FAMILIAR: &[Field] = &[
    every_kind::DISPLAY_NAME.hint(
        "Authing 的“显示名称”。空着就显示 ID。",
        "The display name of Authing. Empty: the ID.",
    ),
    every_kind::ADMISSION.hint(
        "NocoBase：手机号匹配不到用户时是否新建。Authing：“仅登录模式”就是只允许已有账号的人。",
        "NocoBase: whether a user is created when the phone number matches nobody. Authing: login-only mode is “only \
         people who have an account”.",
    ),
    every_kind::LINK_BY.hint(
        "Authing 的“字段匹配”，NocoBase 按手机号。只用企业微信核实过的值；手机号要成员同意才给（见“登录时请求”）。",
        "Field matching in Authing; NocoBase matches the phone number. Only what WeCom verified counts, and it gives the \
         phone number only with the consent of the member (see “requested at a login”).",
    ),
    every_kind::LINK_ON_REQUEST.hint(
        "Authing 的“询问绑定”。在这里由本人发起：先用已有账号登录，再打开工作台主页的地址并加上 &link=1，登录后确认。",
        "Asking for a binding in Authing. Here the person begins it: signed in with the account they have, they open the \
         address of the workbench with &link=1, sign in and confirm.",
    ),
    every_kind::CALLBACK_BASE.hint(
        "NocoBase 的“Origin”：协议、主机和端口，例如 https://oa.corp.example。空着就用 external_url。",
        "Origin in NocoBase: scheme, host and port, such as https://oa.corp.example. Empty: those of external_url.",
    ),
    every_kind::HOME_DESKTOP.hint(
        "从工作台进来的人在电脑上到这里：路径，或本站的 URL。",
        "Where people who come from the workbench arrive on a computer: a path, or a URL of this site.",
    ),
    every_kind::HOME_MOBILE.hint("在手机上到这里。", "The same on a phone."),
    every_kind::HOME_NAME,
    every_kind::AUTO_LOGIN.hint(
        "NocoBase 的“自动登录”：在企业微信里打开就登录。只能有一个企业微信认证源这样做。",
        "Automatic sign-in in NocoBase: opening a page inside WeCom signs in. Only one WeCom connector can do this.",
    ),
];

const DIRECTORY: &[Field] = &[
    field("wecom.contact_secret", Control::Secret, "通讯录同步的 Secret", "Secret of 通讯录同步").hint(
        "管理工具 → 通讯录同步。有了它，同步能区分离职的人和只是不在可见范围里的人。",
        "管理工具 → 通讯录同步. With it a sync knows who left the corporation and who is only outside of the \
         application's 可见范围.",
    ),
    field("wecom.events", Control::Switch, "接收企业微信的事件", "Receive events of WeCom").hint(
        "离职的人立即退出登录。填写下面的 Token 和 EncodingAESKey。",
        "People who leave are signed out at once. Give the Token and the EncodingAESKey below.",
    ),
    field("wecom.events.token", Control::Secret, "Token", "Token").hint(
        "应用 → 接收消息 → 设置API接收，或 管理工具 → 通讯录同步 → 设置接收事件服务器。",
        "应用 → 接收消息 → 设置API接收, or 管理工具 → 通讯录同步 → 设置接收事件服务器.",
    ),
    field("wecom.events.encoding_aes_key", Control::Secret, "EncodingAESKey", "EncodingAESKey")
        .hint("在同一页，43 个字母和数字。", "From the same page: 43 letters and digits."),
    field("wecom.events.receive_id", Control::Text, "消息的接收方", "Receiver in the messages")
        .hint("空着就是企业 ID。", "Empty: the corporation ID."),
    field("wecom.events.time_tolerance", Control::Text, "允许的时间偏差", "Tolerated difference of time")
        .default("5m"),
];

const SYNC: &[Field] = directory_fields!(
    "wecom",
    "把应用可见范围内的部门和成员读入通讯录，例如 1h。空着：只在手动或用命令时同步。",
    "Reads the departments and members that the application may see, such as 1h. Empty: only when asked for."
);

const LOGIN_PAGES: &[Choice] = &[
    choice("auto", "按客户端选择", "As the client needs"),
    choice("web", "总是扫码", "Always the QR code"),
    choice("in-app", "总是按企业微信内处理", "Always as inside WeCom"),
];

const MORE: &[Field] = &[
    field(
        "wecom.scope",
        Control::Choice(&[
            choice(
                "snsapi_base",
                "只认出本人，不需要同意",
                "Who it is; needs no consent",
            ),
            choice(
                "snsapi_privateinfo",
                "还有联系方式，需要本人同意",
                "Contact data; with consent",
            ),
        ]),
        "登录时请求",
        "Requested at a login",
    )
    .hint(
        "在企业微信里登录时。联系方式是手机、邮箱和头像。",
        "Inside WeCom. Contact data: mobile number, e-mail address and portrait.",
    )
    .default("snsapi_base"),
    field(
        "wecom.mode",
        Control::Choice(LOGIN_PAGES),
        "登录页",
        "Login page",
    )
    .default("auto"),
    field(
        "wecom.schema",
        Control::Text,
        "移动端 SDK 的 Schema",
        "Schema of the mobile SDK",
    )
    .hint(
        "企业微信授权登录 → iOS / Android → Schema，给自己的 App 用。",
        "企业微信授权登录 → iOS / Android → Schema, for your own apps.",
    ),
    field(
        "wecom.api_base",
        Control::Url,
        "接口地址",
        "Base URL of the API",
    )
    .hint(
        "私有部署或固定出口的中转时才改。",
        "For a private deployment or a relay with a fixed address.",
    )
    .default("https://qyapi.weixin.qq.com"),
    field(
        "wecom.authorize_url",
        Control::Url,
        "企业微信内的登录页",
        "Login page inside WeCom",
    )
    .default("https://open.weixin.qq.com/connect/oauth2/authorize"),
    field(
        "wecom.login_url",
        Control::Url,
        "其他浏览器的登录页",
        "Login page for other browsers",
    )
    .default("https://login.work.weixin.qq.com/wwlogin/sso/login"),
];
