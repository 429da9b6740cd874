//! The sample corporation: its employees, departments and applications.

use serde_json::{Value, json};

/// The ID of the simulated corporation (企业ID).
pub const CORP_ID: &str = "ww6d656e7368656e01";
/// The application that the demo and most tests log in to (应用 AgentId).
pub const AGENT_ID: u64 = 1_000_002;
/// The secret of [`AGENT_ID`].
pub const SECRET: &str = "simulated-secret-of-agent-1000002";
/// A second application of the same corporation, initially without a domain.
pub const OTHER_AGENT_ID: u64 = 1_000_003;
/// The secret of [`OTHER_AGENT_ID`].
pub const OTHER_SECRET: &str = "simulated-secret-of-agent-1000003";
/// The secret of the contact sync (通讯录同步), which may list IDs and nothing else.
pub const CONTACT_SECRET: &str = "simulated-secret-of-contact-sync";
/// The `userid` that stands for a person who is not a member.
pub const OUTSIDER: &str = "outsider";

/// An employee in the contacts; an empty text is a field without a value.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// The ID (账号), unique regardless of case.
    pub userid: String,
    /// The display name.
    pub name: String,
    /// The IDs of the person's departments.
    pub department: Vec<u32>,
    /// For each department 1 if the person leads it, otherwise 0.
    pub is_leader_in_dept: Vec<u8>,
    /// The department shown first.
    pub main_department: u32,
    /// The userids of the person's managers.
    pub direct_leader: Vec<String>,
    /// The job title (职务).
    pub position: String,
    /// `"1"` male, `"2"` female, `"0"` unknown.
    pub gender: String,
    /// The desk telephone (座机).
    pub telephone: String,
    /// The short name (别名).
    pub alias: String,
    /// The mobile number; withheld from applications created since 2022.
    pub mobile: String,
    /// The private e-mail address; withheld likewise.
    pub email: String,
    /// The corporate e-mail address (企业邮箱); withheld likewise.
    pub biz_mail: String,
    /// The postal address; withheld likewise.
    pub address: String,
    /// 1 active, 2 disabled, 4 not yet active, 5 left.
    pub status: u8,
    /// Custom fields (扩展属性) in the order that the corporation defined.
    pub attributes: Vec<Attribute>,
    /// Whether the person is in the visible range (可见范围) of the applications.
    pub visible: bool,
}

/// A custom field of a member.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    /// The text, or the title of a web page.
    pub value: String,
    /// The URL, if the field is a web page.
    pub url: Option<String>,
}

/// A department in the tree; the root has ID 1 and parent 0.
#[derive(Clone, Debug)]
pub struct Department {
    pub id: u32,
    /// The ID of the parent department.
    pub parent: u32,
    pub name: String,
    /// The English name.
    pub name_en: String,
    /// Whether it is in the visible range of the applications.
    pub visible: bool,
}

/// A tag of members (标签).
#[derive(Clone, Debug)]
pub struct Tag {
    pub id: u32,
    pub name: String,
    /// The userids of members who have it.
    pub users: Vec<String>,
    /// The departments whose members have it, also in those below.
    pub departments: Vec<u32>,
}

/// An application of the corporation, or the contact sync, which has no `agent_id`.
#[derive(Clone, Debug)]
pub struct App {
    /// The ID of the application; `None` is the contact sync.
    pub agent_id: Option<u64>,
    pub name: String,
    /// The secret for requesting a token.
    pub secret: String,
    /// The hosts, as `host` or `host:port`, that a login may be redirected to.
    pub domains: Vec<String>,
    /// Whether personal fields are not withheld, as for applications created before 2022-06-20.
    pub shows_personal_fields: bool,
    /// Whether the administrator has enabled it.
    pub enabled: bool,
}

impl Member {
    /// The response of `user/get`; `personal` adds the fields that newer applications do not
    /// receive.
    pub(super) fn to_json(&self, departments: &[Department], personal: bool) -> Value {
        let is_visible = |id: &u32| {
            departments
                .iter()
                .any(|member| member.id == *id && member.visible)
        };
        let visible_indices: Vec<usize> = (0..self.department.len())
            .filter(|index| is_visible(&self.department[*index]))
            .collect();
        let leads = |index: &usize| self.is_leader_in_dept.get(*index).copied().unwrap_or(0);
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::to_json).collect();
        let mut object = json!({
            "errcode": 0,
            "errmsg": "ok",
            "userid": self.userid,
            "name": self.name,
            "department": visible_indices.iter().map(|index| self.department[*index]).collect::<Vec<_>>(),
            "order": vec![0; visible_indices.len()],
            "position": self.position,
            "is_leader_in_dept": visible_indices.iter().map(leads).collect::<Vec<_>>(),
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

    /// The response of `getuserdetail`: personal fields only, neither name nor department.
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
            // Some responses contain the text twice; mappings in use rely on the flat field.
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
    /// The department in the response of `department/list`.
    pub(super) fn to_json(&self, members: &[Member]) -> Value {
        let leads = |member: &&Member| {
            let mut roles = member.department.iter().zip(&member.is_leader_in_dept);
            roles.any(|(id, leader)| *id == self.id && *leader == 1)
        };
        let leaders: Vec<_> = members
            .iter()
            .filter(leads)
            .map(|member| &member.userid)
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

    /// The sort order among siblings; higher values come first.
    pub(super) fn order(&self) -> u32 {
        100_000_u32.saturating_sub(self.id * 1000)
    }
}

/// The initial applications.
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

/// The initial departments, parents before children.
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

/// The initial employees.
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
