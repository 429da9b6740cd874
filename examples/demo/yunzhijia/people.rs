//! The sample team: its application, people and departments.

use serde_json::{Value, json};

/// The application and its secret.
pub const APP_ID: &str = "500000001";
pub const APP_SECRET: &str = "simulated-secret-of-app-500000001";

/// The team, and another one.
pub const EID: &str = "17951708";
pub const OTHER_EID: &str = "18013450";

/// A person.
#[derive(Clone, Debug)]
pub struct Person {
    pub openid: String,
    pub eid: String,
    pub name: String,
    /// Empty if the team gave none.
    pub job_no: String,
    pub mobile: String,
    /// The ID of the department; empty if the person has none (待分配).
    pub org: String,
    pub title: String,
    /// Whether the person has left the team (离职). The contacts still have them, and list them nowhere.
    pub has_left: bool,
    /// The application of the tickets.
    pub app_id: String,
}

/// A department. The team itself has no parent, and is in no list.
#[derive(Clone, Debug)]
pub struct Department {
    pub id: String,
    pub parent: String,
    pub name: String,
    /// The openid of the person who leads it; may be empty.
    pub leader: String,
}

impl Person {
    pub(super) fn new(openid: &str, name: &str, job_no: &str) -> Self {
        Self {
            openid: openid.to_owned(),
            eid: EID.to_owned(),
            name: name.to_owned(),
            job_no: job_no.to_owned(),
            mobile: String::new(),
            org: String::new(),
            title: String::new(),
            has_left: false,
            app_id: APP_ID.to_owned(),
        }
    }

    /// The data of `acquirecontext`.
    pub(super) fn context(&self) -> Value {
        json!({
            "appid": self.app_id, "xtid": "", "oid": self.openid, "eid": self.eid,
            "username": self.name, "userid": self.openid, "uid": "1", "tid": self.eid,
            "jobNo": self.job_no, "networkid": "n-1", "deviceId": "", "openid": self.openid,
            "orgId": self.org, "mobile": self.mobile,
        })
    }
}

impl Department {
    pub fn new(id: &str, parent: &str, name: &str) -> Self {
        let [id, parent, name] = [id, parent, name].map(str::to_owned);
        let leader = String::new();
        Self {
            id,
            parent,
            name,
            leader,
        }
    }
}

pub(super) fn sample_people() -> Vec<Person> {
    let mut zhang = Person::new("5de50017e4b0", "张三", "zhangsan");
    zhang.mobile = "13800000001".to_owned();
    zhang.org = "org-platform".to_owned();
    zhang.title = "工程师".to_owned();
    let mut li = Person::new("5de5003fe4b0", "李四", "lisi");
    li.org = "org-finance".to_owned();
    vec![zhang, li]
}

pub(super) fn sample_departments() -> Vec<Department> {
    let mut finance = Department::new("org-finance", "org-team", "财务部");
    finance.leader = "5de5003fe4b0".to_owned();
    vec![
        Department::new("org-team", "", "示例公司"),
        Department::new("org-rd", "org-team", "研发中心"),
        Department::new("org-platform", "org-rd", "平台部"),
        finance,
    ]
}
