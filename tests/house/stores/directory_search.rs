//! Lists and finds people: by prefix, by part, by connector and department, page by page.

use menshen::store::{Department, Membership, PeopleQuery};

use super::*;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A company: 研发 above 平台, and a circle of two departments beside them.
async fn company(store: &dyn Store) {
    let department = |id: &str, name: &str, parent: Option<&str>| Department {
        id: id.to_owned(),
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
    };
    let tree = [
        department("1", "公司", None),
        department("2", "研发", Some("1")),
        department("3", "平台", Some("2")),
        department("8", "圈", Some("9")),
        department("9", "环", Some("8")),
    ];
    store.change_departments(&corp(), &tree, &[]).await.unwrap();
    for (login, name, email, mobile, department) in [
        ("zhangsan", "张三", "zhang@corp.example", "13800000001", "3"),
        ("ZhangFei", "张飞", "fei@corp.example", "13900000002", "2"),
        (
            "lisi",
            "李四_100%",
            "lisi@other.example",
            "13800000003",
            "9",
        ),
    ] {
        let person = Admission {
            fields: DirectoryFields {
                name: some(name),
                email: some(email),
                mobile: some(mobile),
                memberships: vec![Membership {
                    department: department.to_owned(),
                    leads: false,
                }],
                ..DirectoryFields::default()
            },
            ..admission(login)
        };
        admit(store, &person).await;
    }
    let stranger = Admission {
        connector: github(),
        ..admission("wang")
    };
    let wang = admit(store, &stranger).await;
    let closed = store.close_account(&wang.id, &closing("left"), at(1)).await;
    closed.unwrap().unwrap();
}

async fn logins(store: &dyn Store, query: &PeopleQuery) -> Vec<String> {
    let found = store.people(query).await.unwrap();
    found.into_iter().map(|one| one.login.to_string()).collect()
}

/// A query, and the logins that it finds.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const ZHANGS: &[&str] = &["ZhangFei", "zhangsan"];

const CASES: &[Case] = &[
    (&[], &["lisi", "wang", "ZhangFei", "zhangsan"]),
    (&[("login", "ZHANG")], ZHANGS),
    (&[("login", "hang")], &[]),
    (&[("name", "张")], ZHANGS),
    (&[("email", "Fei@")], &["ZhangFei"]),
    (&[("mobile", "138")], &["lisi", "zhangsan"]),
    (&[("text", "HANG")], ZHANGS),
    (&[("text", "三")], &["zhangsan"]),
    (&[("text", "corp.example")], ZHANGS),
    (&[("text", "00003")], &["lisi"]),
    // Nothing in a text is a pattern.
    (&[("text", "_100%")], &["lisi"]),
    (&[("text", "%")], &["lisi"]),
    (&[("login", "%")], &[]),
    (&[("text", "' OR 1 = 1")], &[]),
    (&[("connector", "github")], &["wang"]),
    (&[("closed", "true")], &["wang"]),
    (&[("closed", "false")], &["lisi", "ZhangFei", "zhangsan"]),
    // A department with those below it, by ID and by name; circles end.
    (&[("department", "1")], ZHANGS),
    (&[("department", "研发")], ZHANGS),
    (&[("department", "3")], &["zhangsan"]),
    (&[("department", "圈")], &["lisi"]),
    (&[("department", "7")], &[]),
    (&[("department", "1"), ("mobile", "139")], &["ZhangFei"]),
];

fn query_of(conditions: &[(&str, &str)]) -> PeopleQuery {
    let mut query = PeopleQuery {
        max: 100,
        ..PeopleQuery::default()
    };
    for (name, value) in conditions {
        let text = Some((*value).to_owned());
        match *name {
            "login" => query.login = text,
            "name" => query.name = text,
            "email" => query.email = text,
            "mobile" => query.mobile = text,
            "text" => query.text = text,
            "department" => query.department = text,
            "connector" => query.connector = Some(value.parse().unwrap()),
            _ => query.closed = Some(*value == "true"),
        }
    }
    query
}

#[tokio::test]
async fn people_are_found_by_what_is_known_of_them() {
    for Backend { name, store, .. } in backends().await {
        company(&*store).await;
        for (conditions, expected) in CASES {
            let found = logins(&*store, &query_of(conditions)).await;
            assert_eq!(found, *expected, "{name}: {conditions:?}");
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    for Backend { name, store, .. } in backends().await {
        for n in 0..25 {
            admit(&*store, &admission(&format!("User{n:02}"))).await;
        }
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map(|last| last.parse().unwrap());
            let page = PeopleQuery {
                after,
                max: 10,
                ..PeopleQuery::default()
            };
            let page = logins(&*store, &page).await;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        let expected: Vec<_> = (0..25).map(|n| format!("User{n:02}")).collect();
        assert_eq!(found, expected, "{name}");
    }
}
