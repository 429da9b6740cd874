//! Rules about departments whose names are not known, or that the application does not see: nobody gets in
//! because menshen does not know something.

use super::*;
use crate::setup::SECOND_CONNECTOR;
use crate::stores::TempDir;

/// Paths with the rules for them.
type Rules<'a> = &'a [(&'a str, &'a str)];

/// Rules that 李四 of 财务部 (2) passes, and those that nobody passes whose departments have no names.
const WITH_NAMES: Rules<'_> = &[
    ("/in-finance", "user.in_department('财务部')"),
    ("/not-center", "!user.in_department('研发中心')"),
    ("/names", "!('研发中心' in user.departments)"),
    (
        "/paths",
        "!user.department_paths.exists(path, path.contains('研发'))",
    ),
    ("/leads-not", "!user.leads('研发中心')"),
];
/// Rules that 李四 passes also without names.
const WITHOUT_NAMES: Rules<'_> = &[
    ("/in-2", "user.in_department('2')"),
    ("/not-in-3", "!user.in_department('3')"),
    ("/leads-2", "user.leads('corp:2')"),
];

fn routes(rules: &[(&str, &str)]) -> String {
    let mut routes = "[[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n".to_owned();
    for (path, rule) in rules {
        let name = &path[1..];
        routes.push_str(&format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nupstream = [\"{{app}}\"]\nallow = \"{rule}\"\n"
        ));
    }
    routes
}

async fn sign_in(menshen: &Menshen, via: &str, userid: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector={via}&rd=/echo");
    let page = browser.sign_in(&start, userid).await;
    assert_eq!(page.answer.status, 200, "{userid}");
    browser
}

/// The paths of these rules that the person may visit.
async fn allowed<'a>(browser: &mut Browser, rules: &[(&'a str, &str)]) -> Vec<&'a str> {
    let mut allowed = Vec::new();
    for (path, _) in rules {
        let status = browser.visit(&format!("{SSO_URL}{path}")).await.status;
        assert!([200, 403].contains(&status), "{path}: {status}");
        if status == 200 {
            allowed.push(*path);
        }
    }
    allowed
}

fn paths<'a>(rules: &[(&'a str, &str)]) -> Vec<&'a str> {
    rules.iter().map(|(path, _)| *path).collect()
}

#[tokio::test]
async fn a_restart_without_the_names_of_departments_lets_in_nobody_else() {
    let rules = [WITH_NAMES, WITHOUT_NAMES].concat();
    let dir = TempDir::new();
    let setup = || {
        let setup = Setup::default().routes(&routes(&rules));
        setup.tables(NO_LOGIN_LIMITS).store(&dir.url())
    };
    // The first process never learns a name.
    let first = setup().start().await;
    first
        .wecom
        .fail("/cgi-bin/department/list", 60011, usize::MAX);
    let mut li = sign_in(&first, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, &rules).await, paths(WITHOUT_NAMES));
    first.running.stop().await;
    // The second one does.
    let second = setup().start().await;
    let mut li = sign_in(&second, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, &rules).await, paths(&rules));
    second.running.stop().await;
    // The third one still knows those that the second one stored, and no others.
    let third = setup().start().await;
    third
        .wecom
        .fail("/cgi-bin/department/list", 60011, usize::MAX);
    let mut li = sign_in(&third, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, &rules).await, paths(&rules));
    let mut zhang = sign_in(&third, "corp", "zhangsan").await;
    assert_eq!(allowed(&mut zhang, WITH_NAMES).await, ["/leads-not"]);
    // WeCom answers again.
    third.wecom.clear_faults("/cgi-bin/department/list");
    third.advance(Duration::from_secs(61));
    let mut zhang = sign_in(&third, "corp", "zhangsan").await;
    assert_eq!(
        allowed(&mut zhang, WITH_NAMES).await,
        ["/names", "/leads-not"]
    );
    let mut li = sign_in(&third, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, &rules).await, paths(&rules));
}

#[tokio::test]
async fn a_department_that_is_new_at_the_source_has_its_name_at_the_next_login() {
    let rules: Rules<'_> = &[
        ("/in-new", "user.in_department('外包')"),
        ("/not-new", "!user.in_department('外包')"),
    ];
    let setup = Setup::default().routes(&routes(rules));
    let menshen = setup.tables(NO_LOGIN_LIMITS).start().await;
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, rules).await, ["/not-new"]);
    menshen.wecom.departments(|departments| {
        let mut new = departments[1].clone();
        (new.id, new.name, new.parent) = (77, "外包".to_owned(), 1);
        departments.push(new);
    });
    menshen
        .wecom
        .member("lisi", |one| one.department = vec![77]);
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, rules).await, ["/in-new"]);
}

#[tokio::test]
async fn departments_below_hidden_ones_are_told_apart() {
    let rules: Rules<'_> = &[
        ("/sales", "user.in_department('销售')"),
        ("/first", "user.in_department('一部')"),
        ("/sales-first", "user.in_department('销售/一部')"),
        ("/not-sales", "!user.in_department('销售')"),
        ("/not-outside", "!user.in_department('甲公司/销售')"),
        ("/in-20", "user.in_department('20')"),
        ("/in-hidden-90", "user.in_department('90')"),
    ];
    let setup = Setup::default().routes(&routes(rules));
    let menshen = setup.tables(NO_LOGIN_LIMITS).start().await;
    let set = |tree: &[(u32, &str, u32)]| {
        menshen.wecom.departments(|departments| {
            let model = departments[0].clone();
            let tree = tree.iter().map(|(id, name, parent)| {
                let mut one = model.clone();
                (one.id, one.name, one.parent) = (*id, (*name).to_owned(), *parent);
                one
            });
            *departments = tree.collect();
        });
        menshen.advance(Duration::from_secs(601));
    };
    menshen
        .wecom
        .member("lisi", |one| one.department = vec![21]);
    // The application sees one branch: its topmost department is not the root and cannot be left out.
    set(&[(20, "销售", 90), (21, "一部", 20)]);
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    let expected = ["/sales", "/sales-first", "/in-20", "/in-hidden-90"];
    assert_eq!(allowed(&mut li, rules).await, expected);
    // It sees two of one name: only IDs tell them apart.
    set(&[(20, "销售", 90), (21, "一部", 20), (30, "销售", 91)]);
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    assert_eq!(allowed(&mut li, rules).await, ["/in-20", "/in-hidden-90"]);
    // It sees the root.
    set(&[(1, "公司", 0), (20, "销售", 1), (21, "一部", 20)]);
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    let expected = ["/sales", "/sales-first", "/not-outside", "/in-20"];
    assert_eq!(allowed(&mut li, rules).await, expected);
}

#[tokio::test]
async fn the_id_of_a_department_can_be_that_of_one_connector_only() {
    let rules: Rules<'_> = &[
        ("/any", "user.in_department('2')"),
        ("/corp", "user.in_department('corp:2')"),
        ("/corp-root", "user.in_department('corp:1')"),
        ("/other", "user.in_department('other:2')"),
        ("/leads", "user.leads('corp:2')"),
    ];
    let setup = Setup::default().routes(&routes(rules));
    let other = SECOND_CONNECTOR.replace(
        "[connector.other]\n",
        "[connector.other]\nlogin_prefix = 'o-'\n",
    );
    let setup = setup.tables(&format!("{other}{NO_LOGIN_LIMITS}"));
    let menshen = setup.start().await;
    let mut li = sign_in(&menshen, "corp", "lisi").await;
    let expected = ["/any", "/corp", "/corp-root", "/leads"];
    assert_eq!(allowed(&mut li, rules).await, expected);
    let mut li = sign_in(&menshen, "other", "lisi").await;
    assert_eq!(allowed(&mut li, rules).await, ["/any", "/other"]);
}
