//! People whom menshen itself knows.

use super::super::field::{Control, Field, field, section, words};
use super::KindForm;

pub(super) static FORM: KindForm = KindForm {
    kind: "local",
    name: words("本地人员", "People of menshen itself"),
    about: words(
        "用户名和密码保存在数据库里，用 menshen people 或管理 API 管理。",
        "User names and passwords in the database, managed by menshen people or the admin API.",
    ),
    addresses: &[],
    sections: &[section(
        "source",
        "账号与密码",
        "Accounts and passwords",
        SOURCE,
    )
    .note(
        "人员保存在数据库里：用 menshen people add 或管理 API 添加；本人可以修改密码。",
        "The people are in the database: menshen people add and the admin API add them, and they change their \
         passwords themselves.",
    )],
};

const SOURCE: &[Field] = &[field(
    "local.people",
    Control::FileOnly,
    "人员文件",
    "File of the people",
)];
