//! The sample organisation: its members, departments and application.

use serde_json::{Value, json};

/// The CorpId of the simulated organisation.
pub const CORP_ID: &str = "ding6d656e7368656e01";
/// Another organisation, of which [`STRANGER`] is a member.
pub const OTHER_CORP_ID: &str = "ding6f74686572303002";
/// The Client ID of the application.
pub const APP_KEY: &str = "dingsimulatedapp01";
/// The Client Secret of the application.
pub const APP_SECRET: &str = "simulated-secret-of-the-dingtalk-app";
/// The SSOSecret of the organisation.
pub const SSO_SECRET: &str = "simulated-sso-secret-of-the-organisation";
/// A person with a DingTalk account who belongs to another organisation.
pub const STRANGER: &str = "stranger";
/// An external contact of the organisation.
pub const EXTERNAL: &str = "external";

/// A member, or an external contact; an empty text is a field without a value.
#[derive(Clone, Debug)]
pub struct Member {
    pub userid: String,
    pub name: String,
    /// The IDs of the person's departments.
    pub departments: Vec<i64>,
    /// The job title.
    pub title: String,
    /// The country code of `mobile`.
    pub state_code: String,
    pub mobile: String,
    /// The address that the person enters.
    pub email: String,
    /// The address that the organisation gives.
    pub org_email: String,
    /// Whether the person has activated DingTalk.
    pub active: bool,
    /// Whether the application may see the person (权限范围).
    pub visible: bool,
    /// Whether the person is only an external contact (外部联系人).
    pub external: bool,
    /// Whether the person is an administrator.
    pub admin: bool,
}

/// A department in the tree; the root has ID 1 and parent 0.
#[derive(Clone, Debug)]
pub struct Department {
    pub id: i64,
    pub parent: i64,
    pub name: String,
    /// Whether the application may see it (权限范围).
    pub visible: bool,
}

impl Member {
    /// An active, visible member without mobile and e-mail.
    pub fn new(userid: &str, name: &str, departments: &[i64]) -> Self {
        Self {
            userid: userid.to_owned(),
            name: name.to_owned(),
            departments: departments.to_vec(),
            title: String::new(),
            state_code: "86".to_owned(),
            mobile: String::new(),
            email: String::new(),
            org_email: String::new(),
            active: true,
            visible: true,
            external: false,
            admin: false,
        }
    }

    /// The ID of the person in all organisations of one developer.
    pub fn union_id(&self) -> String {
        union_id(&self.userid)
    }

    /// The result of `user/list` for this person; `user/get` adds to it.
    pub(super) fn to_json(&self) -> Value {
        let mut object = json!({
            "userid": self.userid,
            "unionid": self.union_id(),
            "name": self.name,
            "avatar": "",
            "state_code": self.state_code,
            "hide_mobile": false,
            "telephone": "",
            "job_number": "",
            "title": self.title,
            "work_place": "",
            "remark": "",
            "dept_id_list": self.departments,
            "dept_order": 1,
            "extension": "",
            "active": self.active,
            "admin": self.admin,
            "boss": false,
            "leader": false,
            "exclusive_account": false,
        });
        let fields = [
            ("mobile", &self.mobile),
            ("email", &self.email),
            ("org_email", &self.org_email),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            object[name] = json!(value);
        }
        object
    }

    /// The result of `user/get`.
    pub(super) fn to_whole_json(&self) -> Value {
        let mut object = self.to_json();
        let leads = |id: &i64| json!({ "dept_id": id, "leader": false });
        let leads: Vec<_> = self.departments.iter().map(leads).collect();
        object["leader_in_dept"] = json!(leads);
        object["manager_userid"] = json!("");
        object["role_list"] = json!([]);
        object["real_authed"] = json!(true);
        object["senior"] = json!(false);
        object
    }
}

pub(super) fn union_id(userid: &str) -> String {
    format!("union-{userid}-iE")
}

impl Department {
    /// The result of `department/get`, and a row of `department/listsub`.
    pub(super) fn to_json(&self) -> Value {
        let mut object = json!({
            "dept_id": self.id,
            "name": self.name,
            "auto_add_user": true,
            "create_dept_group": true,
        });
        if self.parent != 0 {
            object["parent_id"] = json!(self.parent);
        }
        object
    }
}

/// The sample departments.
pub(super) fn departments() -> Vec<Department> {
    let department = |id, parent, name: &str| Department {
        id,
        parent,
        name: name.to_owned(),
        visible: true,
    };
    vec![
        department(1, 0, "示例公司"),
        department(101, 1, "财务部"),
        department(102, 1, "研发中心"),
        department(103, 102, "平台部"),
        department(104, 1, "销售部"),
    ]
}

/// The sample members and an external contact.
pub(super) fn members() -> Vec<Member> {
    let zhang = Member {
        title: "工程师".to_owned(),
        mobile: "13800000001".to_owned(),
        email: "zhangsan@home.example".to_owned(),
        org_email: "zhangsan@corp.example".to_owned(),
        admin: true,
        ..Member::new("zhangsan", "张三", &[103])
    };
    let li = Member {
        title: "会计".to_owned(),
        mobile: "13800000002".to_owned(),
        email: "lisi@home.example".to_owned(),
        ..Member::new("lisi", "李四", &[101])
    };
    // Without mobile and e-mail.
    let wang = Member::new("wangfang", "王芳", &[102, 104]);
    let zhao = Member {
        active: false,
        ..Member::new("zhaomin", "赵敏", &[104])
    };
    let chen = Member {
        visible: false,
        ..Member::new("chengong", "陈工", &[104])
    };
    let external = Member {
        external: true,
        ..Member::new(EXTERNAL, "外部的客户", &[])
    };
    vec![zhang, li, wang, zhao, chen, external]
}
