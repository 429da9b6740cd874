//! The mapping: the fields of a person, each as CEL over the profile.

use super::super::field::{Control, Field, field};

pub(super) const FIELDS: &[Field] = &[
    field("mapping.login", Control::Lines, "登录名", "Login name").hint(
        "应用看到的用户名，例如 profile.userid。",
        "The user name that applications see, such as profile.userid.",
    ),
    field("mapping.name", Control::Lines, "姓名", "Name"),
    field("mapping.email", Control::Lines, "邮箱", "E-mail"),
    field("mapping.mobile", Control::Lines, "手机", "Mobile"),
    field("mapping.departments", Control::Lines, "部门", "Departments"),
    field("mapping.groups", Control::Lines, "用户组", "Groups"),
    field("mapping.roles", Control::Lines, "角色", "Roles"),
    field("mapping.tags", Control::Lines, "标签", "Tags"),
    field("mapping.orgs", Control::Lines, "组织", "Organisations"),
    field("mapping.tenant_code", Control::Lines, "租户编码", "Tenant code"),
    field("mapping.tenant_name", Control::Lines, "租户名称", "Tenant name"),
    field("mapping.platform", Control::Lines, "来源平台", "Platform"),
    field("mapping.session_expires", Control::Lines, "会话最晚结束时间", "Latest end of the session").hint(
        "Unix 时间（秒），例如 profile.exp。",
        "A Unix time in seconds, such as profile.exp.",
    ),
    field("mapping", Control::Table, "其他字段", "Further fields").hint(
        "每行一个：名称 = \"表达式\"，例如 badge = \"profile.extattr.attrs[2].value\"；成为 user.attributes 的一项。",
        "One on each line: name = \"expression\", such as badge = \"profile.extattr.attrs[2].value\". They become \
         user.attributes.",
    ),
];
