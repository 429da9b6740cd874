//! The sample corporation: its employees, its departments and its applications.

use serde_json::{Value, json};

/// The id of the simulated corporation (企业ID).
pub const CORP_ID: &str = "ww6d656e7368656e01";
/// The application that the demo and most tests log in to (应用 AgentId).
pub const AGENT_ID: u64 = 1_000_002;
/// The secret of [`AGENT_ID`].
pub const SECRET: &str = "simulated-secret-of-agent-1000002";
/// A second application of the same corporation, with no domain of its own at first.
pub const OTHER_AGENT_ID: u64 = 1_000_003;
/// The secret of [`OTHER_AGENT_ID`].
pub const OTHER_SECRET: &str = "simulated-secret-of-agent-1000003";
/// The secret of the contact sync (通讯录同步), which may list ids and nothing else.
pub const CONTACT_SECRET: &str = "simulated-secret-of-contact-sync";
/// What to choose on the page, or to hand to `issue_code`, for somebody who is no member.
pub const OUTSIDER: &str = "outsider";

/// One employee as the contacts know them; empty text means the corporation never filled it in.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// The id (账号), unique without regard to case.
    pub userid: String,
    /// The display name.
    pub name: String,
    /// The ids of the departments they are in.
    pub department: Vec<u32>,
    /// For each department 1 when they lead it, else 0.
    pub is_leader_in_dept: Vec<u8>,
    /// The department shown first.
    pub main_department: u32,
    /// The userid of whom they report to.
    pub direct_leader: Vec<String>,
    /// What they do (职务).
    pub position: String,
    /// `"1"` male, `"2"` female, `"0"` not said.
    pub gender: String,
    /// The desk telephone (座机).
    pub telephone: String,
    /// The short name (别名).
    pub alias: String,
    /// The mobile number; withheld from applications made since 2022.
    pub mobile: String,
    /// The private address; withheld likewise.
    pub email: String,
    /// The address the corporation gave (企业邮箱); withheld likewise.
    pub biz_mail: String,
    /// The postal address; withheld likewise.
    pub address: String,
    /// 1 active, 2 disabled, 4 not yet active, 5 left.
    pub status: u8,
    /// Further fields (扩展属性) in the order the corporation defined.
    pub attributes: Vec<Attribute>,
    /// Whether the applications may see them (可见范围).
    pub visible: bool,
}

/// One further field of a member.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name of the field.
    pub name: String,
    /// A text, or the title of a web page.
    pub value: String,
    /// The address, when the field is a web page.
    pub url: Option<String>,
}

/// One department of the tree; the root has id 1 and parent 0.
#[derive(Clone, Debug)]
pub struct Department {
    /// The id.
    pub id: u32,
    /// The id of the department above.
    pub parent: u32,
    /// The name.
    pub name: String,
    /// The English name.
    pub name_en: String,
    /// Whether the applications may see it.
    pub visible: bool,
}

/// One application of the corporation, or the contact sync, which has no `agent_id`.
#[derive(Clone, Debug)]
pub struct App {
    /// The number of the application; `None` is the contact sync.
    pub agent_id: Option<u64>,
    /// The name.
    pub name: String,
    /// The secret that buys its token.
    pub secret: String,
    /// The hosts, with port where there is one, that a login may return to.
    pub domains: Vec<String>,
    /// Made before 2022-06-20: personal fields are not withheld.
    pub shows_personal_fields: bool,
    /// Whether the administrator left it switched on.
    pub enabled: bool,
}

impl Member {
    /// The member as `user/get` says it; `personal` adds what newer applications do not get.
    pub(super) fn to_json(&self, departments: &[Department], personal: bool) -> Value {
        let seen = |id: &u32| departments.iter().any(|one| one.id == *id && one.visible);
        let kept: Vec<usize> = (0..self.department.len())
            .filter(|at| seen(&self.department[*at]))
            .collect();
        let leads = |at: &usize| self.is_leader_in_dept.get(*at).copied().unwrap_or(0);
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::to_json).collect();
        let mut object = json!({
            "errcode": 0,
            "errmsg": "ok",
            "userid": self.userid,
            "name": self.name,
            "department": kept.iter().map(|at| self.department[*at]).collect::<Vec<_>>(),
            "order": vec![0; kept.len()],
            "position": self.position,
            "is_leader_in_dept": kept.iter().map(leads).collect::<Vec<_>>(),
            "direct_leader": self.direct_leader,
            "telephone": self.telephone,
            "alias": self.alias,
            "main_department": self.main_department,
            "status": self.status,
            "isleader": u8::from(self.is_leader_in_dept.contains(&1)),
            "enable": u8::from(self.status != 2),
            "hide_mobile": 0,
            "extattr": { "attrs": attributes },
            "external_profile": { "external_corp_name": "", "external_attr": [] },
        });
        if personal {
            self.add_personal(&mut object);
        }
        object
    }

    /// What `getuserdetail` says: personal fields only, neither name nor department.
    pub(super) fn detail(&self) -> Value {
        let mut object = json!({ "errcode": 0, "errmsg": "ok", "userid": self.userid });
        self.add_personal(&mut object);
        object
    }

    fn add_personal(&self, object: &mut Value) {
        let fields = [
            ("gender", &self.gender),
            ("mobile", &self.mobile),
            ("email", &self.email),
            ("biz_mail", &self.biz_mail),
            ("address", &self.address),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            object[name] = json!(value);
        }
        object["avatar"] = json!(format!("http://avatar.invalid/{}/0", self.userid));
        object["qr_code"] = json!(format!("https://qr.invalid/{}", self.userid));
    }
}

impl Attribute {
    /// A text field.
    pub fn text(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            url: None,
        }
    }

    fn to_json(&self) -> Value {
        match &self.url {
            Some(url) => json!({
                "type": 1,
                "name": self.name,
                "web": { "url": url, "title": self.value },
            }),
            // Some answers carry the text a second time, flat; mappings in the wild rely on it.
            None => json!({
                "type": 0,
                "name": self.name,
                "value": self.value,
                "text": { "value": self.value },
            }),
        }
    }
}

impl Department {
    /// The department as `department/list` says it.
    pub(super) fn to_json(&self, members: &[Member]) -> Value {
        let leads = |one: &&Member| {
            let mut roles = one.department.iter().zip(&one.is_leader_in_dept);
            roles.any(|(id, leader)| *id == self.id && *leader == 1)
        };
        let leaders: Vec<_> = members
            .iter()
            .filter(leads)
            .map(|one| &one.userid)
            .collect();
        json!({
            "id": self.id,
            "name": self.name,
            "name_en": self.name_en,
            "department_leader": leaders,
            "parentid": self.parent,
            "order": self.order(),
        })
    }

    /// Where the department stands among its siblings; higher comes first.
    pub(super) fn order(&self) -> u32 {
        100_000_u32.saturating_sub(self.id * 1000)
    }
}

/// The applications of the corporation at the start.
pub(super) fn apps() -> Vec<App> {
    let app = |agent_id, name: &str, secret: &str| App {
        agent_id,
        name: name.into(),
        secret: secret.into(),
        domains: Vec::new(),
        shows_personal_fields: false,
        enabled: true,
    };
    vec![
        app(Some(AGENT_ID), "协同办公", SECRET),
        app(Some(OTHER_AGENT_ID), "差旅报销", OTHER_SECRET),
        app(None, "通讯录同步", CONTACT_SECRET),
    ]
}

/// The tree of departments at the start, parents before children.
pub(super) fn departments() -> Vec<Department> {
    let rows = [
        (1, 0, "示例公司", "Sample Company"),
        (2, 1, "财务部", "Finance"),
        (3, 1, "研发中心", "R&D Center"),
        (4, 1, "人事部", "Human Resources"),
        (5, 3, "平台部", "Platform"),
        (6, 3, "应用部", "Applications"),
        (7, 1, "销售部", "Sales"),
        (8, 5, "运行组", "Operations"),
        (9, 7, "华东区", "East China"),
        (10, 1, "外协单位", "Contractors"),
    ];
    let department = |(id, parent, name, name_en): (u32, u32, &str, &str)| Department {
        id,
        parent,
        name: name.into(),
        name_en: name_en.into(),
        visible: id != 10,
    };
    rows.into_iter().map(department).collect()
}

/// The employees at the start.
pub(super) fn members() -> Vec<Member> {
    let badge = |number: &str| {
        vec![
            Attribute::text("入职日期", "2018-07-02"),
            Attribute::text("办公地点", "3 号楼 402"),
            Attribute::text("工号", number),
        ]
    };
    let mut li = member("lisi", "李四", &[2], "财务部经理", "1");
    li.is_leader_in_dept = vec![1];
    li.attributes = badge("20117");
    li.attributes.push(Attribute {
        name: "主页".into(),
        value: "财务部周报".into(),
        url: Some("https://wiki.invalid/lisi".into()),
    });
    let mut zhang = member("zhangsan", "张三", &[5, 6], "平台工程师", "1");
    zhang.attributes = badge("10086");
    let mut wang = member("wangfang", "王芳", &[4], "人事专员", "2");
    wang.attributes = badge("30255");
    wang.email = String::new();
    wang.biz_mail = String::new();
    let mut zhao = member("zhaomin", "赵敏", &[7], "销售经理", "2");
    zhao.status = 2;
    zhao.attributes = vec![Attribute::text("入职日期", "2021-03-15")];
    let mut chen = member("chengong", "陈工", &[10], "驻场工程师", "1");
    chen.visible = false;
    vec![zhang, li, wang, zhao, chen]
}

fn member(userid: &str, name: &str, department: &[u32], position: &str, gender: &str) -> Member {
    let number: u32 = userid.bytes().map(u32::from).sum();
    Member {
        userid: userid.into(),
        name: name.into(),
        department: department.into(),
        is_leader_in_dept: vec![0; department.len()],
        main_department: department[0],
        position: position.into(),
        gender: gender.into(),
        telephone: format!("010-5555-{number:04}"),
        alias: userid.into(),
        mobile: format!("1380000{number:04}"),
        email: format!("{userid}@mail.example"),
        biz_mail: format!("{userid}@corp.example"),
        address: "示例市示例路 1 号".into(),
        status: 1,
        visible: true,
        ..Member::default()
    }
}
