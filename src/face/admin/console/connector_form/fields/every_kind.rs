//! The settings that connectors of every kind have.

use super::super::field::{Choice, Control, Field, Section, choice, field, section};
use super::mapping;

pub(super) const SECTIONS: &[Section] = &[
    section("general", "基本", "General", GENERAL),
    section("people", "人员", "People", PEOPLE),
    section("mapping", "字段映射", "Mapping", mapping::FIELDS)
        .note(
            "每项是读 profile（认证源返回的资料）的 CEL 表达式；空着就用这一类认证源的默认值。",
            "Each is CEL over profile, what the source says of a person. Empty: the default of the kind.",
        )
        .folded(),
    section("network", "地址与网络", "Addresses and network", NETWORK).folded(),
];

const GENERAL: &[Field] = &[
    DISPLAY_NAME.hint(
        "空着就显示 ID。两种语言不同时写 { zh = \"…\", en = \"…\" }。",
        "Empty: the ID. If the languages differ: { zh = \"…\", en = \"…\" }.",
    ),
    field("enabled", Control::Check, "允许用它登录", "People may sign in with it")
        .hint(
            "关掉后没有人能用它登录，用它登录的会话立即结束；账号保留。",
            "Without it nobody can, and the sessions that began with it end; accounts stay.",
        )
        .default("true"),
    AUTO_LOGIN,
    HOME_DESKTOP.hint(
        "登录时没有指定返回地址，就到这里：路径，或本站的 URL。",
        "Where a login without a return address ends: a path, or a URL of this site.",
    ),
    HOME_MOBILE,
    HOME_NAME,
    field("reload_user", Control::Check, "打开页面时重新核对身份", "Confirm the person again when a page is loaded")
        .hint(
            "打开页面时向认证源核对当前是谁在登录，不需要点击。只对用它登录的人、且路由没有自己写 reload_user 时有效。",
            "The source confirms without a click who is signed in when a page is loaded. For people who signed in here, \
             on routes without a reload_user of their own.",
        )
        .default("false"),
];

pub(super) const DISPLAY_NAME: Field = field(
    "display_name",
    Control::Label,
    "登录页上的名称",
    "Name on the sign-in page",
);

pub(super) const AUTO_LOGINS: &[Choice] = &[
    choice(
        "in-app",
        "在认证源自己的客户端里自动登录",
        "Inside the app of the source",
    ),
    choice("never", "从不自动登录", "Never"),
    choice("always", "总是自动登录", "Always"),
];

pub(super) const AUTO_LOGIN: Field = field(
    "auto_login",
    Control::Choice(AUTO_LOGINS),
    "自动登录",
    "Sign-in without a click",
)
.hint(
    "同一种客户端里只能有一个认证源自动登录，“总是”全站只能有一个。",
    "Only one connector can start the logins inside an app, and only one can do so always.",
)
.default("in-app");

pub(super) const HOME_DESKTOP: Field = field(
    "home.desktop",
    Control::Text,
    "电脑上的首页",
    "Home page on a computer",
)
.default("/");

pub(super) const HOME_MOBILE: Field = field(
    "home.mobile",
    Control::Text,
    "手机上的首页",
    "Home page on a phone",
)
.default("/");

pub(super) const HOME_NAME: Field = field(
    "home.name",
    Control::Label,
    "首页的名称",
    "Name of the home page",
)
.hint(
    "页面上去首页的链接用这个名称。",
    "Links on pages that lead there have this name.",
);

pub(super) const ADMISSIONS: &[Choice] = &[
    choice("create", "为新来的人新建账号", "Get an account"),
    choice("existing", "只允许已有账号的人登录", "Only with an account"),
];

pub(super) const ADMISSION: Field = field(
    "admission",
    Control::Choice(ADMISSIONS),
    "新来的人",
    "New people",
)
.default("create");

pub(super) const LINK_BY: Field = field(
    "link_by",
    Control::Several(&[
        choice("mobile", "手机号", "Mobile"),
        choice("email", "邮箱", "E-mail"),
    ]),
    "按字段关联已有账号",
    "Link to an account by",
);

pub(super) const LINK_ON_REQUEST: Field = field(
    "link_on_request",
    Control::Check,
    "允许本人把这个身份加到自己的账号",
    "People may add this identity to their account",
)
.default("false");

pub(super) const CALLBACK_BASE: Field = field(
    "callback_base",
    Control::Url,
    "回调地址的主机",
    "Origin of the callback URL",
);

const PEOPLE: &[Field] = &[
    ADMISSION.hint(
        "“只允许已有账号的人”包括按下面的字段关联到已有账号的人。",
        "People who are linked to an account by the fields below have one, too.",
    ),
    LINK_BY.hint(
        "只用认证源核实过的手机号或邮箱，把新来的人关联到已有账号。",
        "A new person gets the account that has the same value. Only values that the source verified count.",
    ),
    LINK_ON_REQUEST.hint(
        "本人先用原来的方式登录，再到这里登录一次并确认，以后两种方式都能登录。",
        "They sign in as before, sign in here as well and confirm. From then on they can use either.",
    ),
    field("sync", Control::Check, "每次登录更新资料", "Update fields at each login")
        .hint(
            "关掉后，登录名和资料保持第一次登录时的样子。",
            "Without it, the login name and all fields stay as at the first login.",
        )
        .default("true"),
    field("login_prefix", Control::Text, "登录名前缀", "Prefix of login names").hint(
        "加在这个认证源的每个登录名前面，避免与别的认证源重名。",
        "Keeps the login names of different sources apart.",
    ),
    field("join.department", Control::Text, "新账号的部门", "Department of new accounts").hint(
        "从根开始的部门路径，例如 示例公司/外包；认证源里不必有这个部门。",
        "A path from the root, such as 示例公司/外包. The source need not have it.",
    ),
    field("join.groups", Control::List, "新账号的用户组", "Groups of new accounts")
        .hint("每行一个。", "One on each line."),
];

const NETWORK: &[Field] = &[
    CALLBACK_BASE.hint(
        "协议、主机和端口，例如 https://login.corp.example；空着就用 external_url。",
        "Scheme, host and port, such as https://login.corp.example. Empty: those of external_url.",
    ),
    field("callback", Control::Url, "完整的回调地址", "The whole callback URL").hint(
        "认证源那边登记的是别的路径时才填；路径必须在 prefix 之下，几个认证源可以共用。",
        "If the source has another path registered. It must be below prefix; several connectors may share one.",
    ),
    field("proxy", Control::SecretUrl, "HTTP 代理", "HTTP proxy").hint(
        "访问认证源时经过的代理，例如 http://proxy.corp.example:3128。",
        "For calls to the source, such as http://proxy.corp.example:3128.",
    ),
    field("ca_pem", Control::Lines, "额外的证书颁发机构（PEM）", "Further certificate authorities (PEM)").hint(
        "访问认证源时，除系统自带的以外还信任的证书。",
        "Trusted for calls to the source, beside those of the system.",
    ),
    field("ca", Control::FileOnly, "证书颁发机构的文件", "File of certificate authorities"),
];
