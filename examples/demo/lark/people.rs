//! The sample tenant: its employees, departments and applications.

use serde_json::{Value, json};

/// The key of the simulated tenant.
pub const TENANT_KEY: &str = "736588c9260f175d";
/// Another tenant, from which people can be guests.
pub const OTHER_TENANT_KEY: &str = "2ed263bf32cf1651";
/// The application that the demo and the tests log in to.
pub const APP_ID: &str = "cli_6d656e7368656e01";
pub const APP_SECRET: &str = "simulated-secret-of-the-lark-application";
/// A second application of the same tenant.
pub const OTHER_APP_ID: &str = "cli_6d656e7368656e02";
pub const OTHER_APP_SECRET: &str = "simulated-secret-of-another-application";
/// A person of the other tenant.
pub const OUTSIDER: &str = "outsider";

/// A permission of the application (权限).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// The application's own tenant.
    Tenant,
    /// People and departments, with the fields that need no further permission.
    Contacts,
    /// The status of people.
    Status,
    EmployeeId,
    Email,
    Phone,
}

impl Permission {
    pub const ALL: [Self; 6] = [
        Self::Tenant,
        Self::Contacts,
        Self::Status,
        Self::EmployeeId,
        Self::Email,
        Self::Phone,
    ];

    /// Its name in the console.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant:tenant:readonly",
            Self::Contacts => "contact:contact.base:readonly",
            Self::Status => "contact:user.employee:readonly",
            Self::EmployeeId => "contact:user.employee_id:readonly",
            Self::Email => "contact:user.email:readonly",
            Self::Phone => "contact:user.phone:readonly",
        }
    }
}

/// An employee; an empty text is a field without a value.
#[derive(Clone, Debug)]
pub struct Person {
    pub user_id: String,
    pub tenant_key: String,
    pub name: String,
    pub email: String,
    pub enterprise_email: String,
    pub mobile: String,
    pub employee_no: String,
    pub job_title: String,
    pub departments: Vec<String>,
    pub is_frozen: bool,
    pub is_resigned: bool,
    pub is_exited: bool,
    pub is_activated: bool,
    /// Whether the person may use the application (可用范围).
    pub may_use_app: bool,
}

/// A department; those at the top have the parent `0`.
#[derive(Clone, Debug)]
pub struct Department {
    pub id: String,
    pub parent: String,
    pub name: String,
    /// The user_id of its leader.
    pub leader: Option<String>,
}

/// The ID of a person for all applications of a developer.
pub fn union_id(user_id: &str) -> String {
    format!("on_{user_id}")
}

/// The ID of a person for one application.
pub fn open_id(user_id: &str) -> String {
    format!("ou_{user_id}")
}

impl Person {
    /// An active person of the tenant.
    pub fn new(user_id: &str, name: &str, departments: &[&str]) -> Self {
        let number: u32 = user_id.bytes().map(u32::from).sum();
        Self {
            user_id: user_id.to_owned(),
            tenant_key: TENANT_KEY.to_owned(),
            name: name.to_owned(),
            email: format!("{user_id}@mail.example"),
            enterprise_email: format!("{user_id}@corp.example"),
            mobile: format!("+861380000{number:04}"),
            employee_no: format!("{number}"),
            job_title: String::new(),
            departments: departments.iter().map(|id| (*id).to_owned()).collect(),
            is_frozen: false,
            is_resigned: false,
            is_exited: false,
            is_activated: true,
            may_use_app: true,
        }
    }

    /// The fields of `user_info`.
    pub(super) fn user_info(&self, has: impl Fn(Permission) -> bool) -> Value {
        let mut info = json!({
            "name": self.name,
            "en_name": self.user_id,
            "avatar_url": format!("https://avatar.invalid/{}/72", self.user_id),
            "avatar_thumb": format!("https://avatar.invalid/{}/72", self.user_id),
            "avatar_middle": format!("https://avatar.invalid/{}/240", self.user_id),
            "avatar_big": format!("https://avatar.invalid/{}/640", self.user_id),
            "open_id": open_id(&self.user_id),
            "union_id": union_id(&self.user_id),
            "tenant_key": self.tenant_key,
        });
        self.add_permitted(&mut info, has);
        info
    }

    /// The fields of the contact API.
    pub(super) fn contact(&self, has: impl Fn(Permission) -> bool) -> Value {
        let avatar = |size: u32| format!("https://avatar.invalid/{}/{size}", self.user_id);
        let mut person = json!({
            "union_id": union_id(&self.user_id),
            "open_id": open_id(&self.user_id),
            "name": self.name,
            "en_name": self.user_id,
            "nickname": "",
            "avatar": { "avatar_72": avatar(72), "avatar_240": avatar(240), "avatar_640": avatar(640) },
            "department_ids": self.departments,
            "job_title": self.job_title,
            "mobile_visible": true,
        });
        if has(Permission::Status) {
            person["status"] = self.status();
        }
        self.add_permitted(&mut person, has);
        person
    }

    pub(super) fn status(&self) -> Value {
        json!({
            "is_frozen": self.is_frozen,
            "is_resigned": self.is_resigned,
            "is_activated": self.is_activated,
            "is_exited": self.is_exited,
            "is_unjoin": !self.is_activated,
        })
    }

    fn add_permitted(&self, object: &mut Value, has: impl Fn(Permission) -> bool) {
        for (name, value, permission) in [
            ("user_id", &self.user_id, Permission::EmployeeId),
            ("email", &self.email, Permission::Email),
            (
                "enterprise_email",
                &self.enterprise_email,
                Permission::Email,
            ),
            ("mobile", &self.mobile, Permission::Phone),
            ("employee_no", &self.employee_no, Permission::EmployeeId),
        ] {
            if has(permission) && !value.is_empty() {
                object[name] = json!(value);
            }
        }
    }
}

impl Department {
    fn new(id: &str, parent: &str, name: &str, leader: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            parent: parent.to_owned(),
            name: name.to_owned(),
            leader: leader.map(str::to_owned),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "i18n_name": { "zh_cn": self.name, "ja_jp": "", "en_us": "" },
            "parent_department_id": self.parent,
            "department_id": format!("d{}", self.id),
            "open_department_id": self.id,
            "leader_user_id": self.leader.as_deref().map(union_id).unwrap_or_default(),
            "order": "1000",
            "member_count": 1,
            "status": { "is_deleted": false },
        })
    }
}

/// The initial departments, parents before children.
pub(super) fn departments() -> Vec<Department> {
    vec![
        Department::new("od-finance", "0", "财务部", Some("lisi")),
        Department::new("od-rd", "0", "研发中心", None),
        Department::new("od-hr", "0", "人事部", None),
        Department::new("od-platform", "od-rd", "平台部", None),
        Department::new("od-apps", "od-rd", "应用部", None),
        Department::new("od-sales", "0", "销售部", None),
    ]
}

/// The initial employees, and a person of the other tenant.
pub(super) fn people() -> Vec<Person> {
    let mut zhang = Person::new("zhangsan", "张三", &["od-platform", "od-apps"]);
    zhang.job_title = "平台工程师".to_owned();
    let mut li = Person::new("lisi", "李四", &["od-finance"]);
    li.job_title = "财务部经理".to_owned();
    let mut wang = Person::new("wangfang", "王芳", &["od-hr"]);
    wang.email = String::new();
    wang.enterprise_email = String::new();
    wang.mobile = String::new();
    let mut zhao = Person::new("zhaomin", "赵敏", &["od-sales"]);
    zhao.is_frozen = true;
    let mut chen = Person::new("chengong", "陈工", &["0"]);
    chen.may_use_app = false;
    let mut outsider = Person::new(OUTSIDER, "外部联系人", &[]);
    outsider.tenant_key = OTHER_TENANT_KEY.to_owned();
    vec![zhang, li, wang, zhao, chen, outsider]
}
