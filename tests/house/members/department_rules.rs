//! Rules about departments: with those below, by path or by ID, and who leads one.

use super::*;

const RULES: &[(&str, &str)] = &[
    ("/in-center", "user.in_department('研发中心')"),
    ("/in-platform", "user.in_department('研发中心/平台部')"),
    (
        "/in-full-path",
        "user.in_department('示例公司/研发中心/平台部')",
    ),
    ("/in-company", "user.in_department('示例公司')"),
    ("/in-bare-name", "user.in_department('平台部')"),
    ("/in-part-of-a-name", "user.in_department('研发')"),
    ("/in-id", "user.in_department('5')"),
    ("/in-parent-id", "user.in_department('3')"),
    ("/leads-finance", "user.leads('财务部')"),
    ("/leads-id", "user.leads('2')"),
    ("/leads-company", "user.leads('示例公司')"),
];

/// The routes that a person may use.
async fn allowed(browser: &mut Browser) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    for (path, _) in RULES {
        let status = browser.visit(&format!("{SSO_URL}{path}")).await.status;
        assert!([200, 403].contains(&status), "{path}: {status}");
        if status == 200 {
            allowed.push(*path);
        }
    }
    allowed
}

async fn sign_in(menshen: &Menshen, userid: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    let page = browser.sign_in(&start, userid).await;
    assert_eq!(page.answer.status, 200, "{userid}");
    browser
}

async fn start() -> Menshen {
    let mut routes = "[[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n".to_owned();
    for (path, rule) in RULES {
        let name = &path[1..];
        routes.push_str(&format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nupstream = [\"{{app}}\"]\nallow = \"{rule}\"\n"
        ));
    }
    Setup::default()
        .routes(&routes)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await
}

#[tokio::test]
async fn a_department_includes_those_below_it_and_no_other_of_that_name() {
    let menshen = start().await;
    let mut zhang = sign_in(&menshen, "zhangsan").await;
    let expected = [
        "/in-center",
        "/in-platform",
        "/in-full-path",
        "/in-company",
        "/in-id",
        "/in-parent-id",
    ];
    assert_eq!(allowed(&mut zhang).await, expected);
    let mut li = sign_in(&menshen, "lisi").await;
    let expected = ["/in-company", "/leads-finance", "/leads-id"];
    assert_eq!(allowed(&mut li).await, expected);
}

#[tokio::test]
async fn a_renamed_department_keeps_its_id() {
    let menshen = start().await;
    menshen.wecom.departments(|departments| {
        let center = departments.iter_mut().find(|one| one.id == 3);
        center.unwrap().name = "技术中心".to_owned();
    });
    let mut zhang = sign_in(&menshen, "zhangsan").await;
    let expected = ["/in-company", "/in-id", "/in-parent-id"];
    assert_eq!(allowed(&mut zhang).await, expected);
}

#[tokio::test]
async fn a_department_whose_name_is_a_number_does_not_pass_for_an_id() {
    let menshen = start().await;
    menshen.wecom.departments(|departments| {
        let finance = departments.iter_mut().find(|one| one.id == 2);
        finance.unwrap().name = "5".to_owned();
    });
    let mut li = sign_in(&menshen, "lisi").await;
    assert_eq!(allowed(&mut li).await, ["/in-company", "/leads-id"]);
}

#[tokio::test]
async fn who_no_longer_leads_is_refused_after_the_next_login() {
    let menshen = start().await;
    menshen
        .wecom
        .member("lisi", |one| one.is_leader_in_dept = vec![0]);
    let mut li = sign_in(&menshen, "lisi").await;
    assert_eq!(allowed(&mut li).await, ["/in-company"]);
}
