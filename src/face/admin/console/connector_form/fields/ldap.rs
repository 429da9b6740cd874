//! LDAP.

use super::super::field::{Control, Field, Section, choice, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "ldap",
    name: words("LDAP", "LDAP"),
    about: words(
        "用户名和密码由目录核对：Active Directory、OpenLDAP、FreeIPA。",
        "A directory checks user name and password: Active Directory, OpenLDAP, FreeIPA.",
    ),
    addresses: &[],
    sections: SECTIONS,
};

const SECTIONS: &[Section] = &[
    section("source", "目录", "The directory", SOURCE),
    section("groups", "用户组", "Groups", GROUPS).folded(),
    section("more", "其他设置", "More", MORE).folded(),
];

const SOURCE: &[Field] = &[
    field("ldap.url", Control::OneOrList, "地址", "Address")
        .hint(
            "ldaps://主机 或 ldap://主机；可以写几行，用第一个连得上的。",
            "ldaps://host or ldap://host. Of several lines, the first that can be reached is asked.",
        )
        .required(),
    field("ldap.start_tls", Control::Check, "用 StartTLS 加密 ldap://", "Encrypt ldap:// by StartTLS")
        .hint("关掉后密码以明文传输。", "Without it, passwords travel in clear text.")
        .default("true"),
    field("ldap.bind_dn", Control::Text, "查询账号的 DN", "DN of the account that searches").hint(
        "例如 cn=menshen,ou=services,dc=corp,dc=example。空着：匿名查询。",
        "Such as cn=menshen,ou=services,dc=corp,dc=example. Empty: the search is anonymous.",
    ),
    field("ldap.bind_password", Control::Secret, "它的密码", "Its password"),
    field("ldap.base", Control::Text, "人员所在的 DN", "DN below which people are")
        .hint("例如 ou=people,dc=corp,dc=example。", "Such as ou=people,dc=corp,dc=example.")
        .required(),
    field("ldap.filter", Control::Text, "人员的过滤条件", "Filter of people")
        .hint("可以登录的人（RFC 4515）。", "Who may sign in (RFC 4515).")
        .default("(objectClass=inetOrgPerson)"),
    field("ldap.login_attributes", Control::List, "用户名的属性", "Attributes of the user name")
        .hint(
            "每行一个，例如 uid、mail、sAMAccountName。人身上第一个有的就是登录名。",
            "One on each line, such as uid, mail, sAMAccountName. The first that an entry has is the login name.",
        )
        .default("uid"),
];

const GROUPS: &[Field] = &[
    field(
        "ldap.member_of_base",
        Control::Text,
        "memberOf 中有效的 DN",
        "DN below which memberOf counts",
    )
    .hint(
        "例如 ou=groups,dc=corp,dc=example。空着：memberOf 里的全部算数。",
        "Such as ou=groups,dc=corp,dc=example. Empty: everything in memberOf counts.",
    ),
    field(
        "ldap.groups",
        Control::Switch,
        "查询用户组",
        "Search for groups",
    )
    .hint(
        "不查询时，用户组来自人的 memberOf。",
        "Without it, groups are those in memberOf of the person.",
    ),
    field(
        "ldap.groups.base",
        Control::Text,
        "用户组所在的 DN",
        "DN below which groups are",
    ),
    field(
        "ldap.groups.filter",
        Control::Text,
        "一个人的用户组",
        "Filter of the groups of a person",
    )
    .hint(
        "{dn} 是人的 DN，{login} 是登录名。",
        "{dn} is the DN and {login} the login of the person.",
    )
    .default("(member={dn})"),
    field(
        "ldap.groups.name",
        Control::Text,
        "名称的属性",
        "Attribute of the name",
    )
    .default("cn"),
    field(
        "ldap.groups.nested",
        Control::Check,
        "包括上级用户组",
        "Groups of groups count, too",
    )
    .hint("最多十级。", "In at most ten levels.")
    .default("false"),
];

const MORE: &[Field] = &[
    field(
        "ldap.scope",
        Control::Choice(&[
            choice("subtree", "在它下面的任何层", "Anywhere below it"),
            choice("one", "直接在它下面", "Directly below it"),
        ]),
        "人员的位置",
        "Where people are",
    )
    .default("subtree"),
    field("ldap.bind_as", Control::Text, "直接以本人绑定", "Bind as the person").hint(
        "例如 {login}@corp.example；代替查询账号，事先不查询。",
        "Such as {login}@corp.example, instead of the account that searches: nothing is searched before.",
    ),
    field("ldap.subject", Control::Text, "识别账号的属性", "Attribute that identifies the account")
        .hint(
            "永远不能变，也不能给别人用。auto：entryUUID、objectGUID 等；dn：DN。",
            "It must never change and never be given to another person. auto: entryUUID, objectGUID and others; dn: the DN.",
        )
        .default("auto"),
    field("ldap.attributes", Control::List, "另外读取的属性", "Further attributes to read")
        .hint("每行一个；映射用到的会自动读取。", "One on each line. Those of the mapping are read without it."),
    field("ldap.timeout", Control::Text, "等待时间", "Time limit").default("5s"),
    field("ldap.revalidate", Control::Text, "核对在线人员的间隔", "How often people are asked about").hint(
        "目录里没有了、或不再符合过滤条件的人会退出登录。0s：不核对。空着：10m，“直接以本人绑定”时不核对。",
        "People whom the directory no longer has, or who no longer match the filter, are signed out. 0s: never. Empty: \
         10m, but never if people bind themselves.",
    ),
];
