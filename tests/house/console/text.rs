//! What people, sources and configuration say is text on every page.

use menshen::store::Department;

use super::*;
use crate::setup::SECOND_CONNECTOR;

const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

#[tokio::test]
async fn hostile_names_are_text_on_every_page_in_both_languages() {
    let name = toml::Value::String(HOSTILE.to_owned());
    let connector =
        SECOND_CONNECTOR.replace("auto_login", &format!("display_name = {name}\nauto_login"));
    let menshen = with_console(&format!(
        "external_url = \"http://console.test\"\n{connector}"
    ))
    .start()
    .await;
    menshen
        .wecom
        .member("hostile", |member| HOSTILE.clone_into(&mut member.name));
    let mut browser = Browser::new(&menshen).with_user_agent(HOSTILE);
    browser.sign_in("http://sso.test/echo", "hostile").await;
    let store = &menshen.running.live().services().store;
    let departments = [("1", None), ("2", Some("1"))].map(|(id, parent)| Department {
        id: id.to_owned(),
        name: HOSTILE.to_owned(),
        parent: parent.map(str::to_owned),
    });
    let corp = "corp".parse().unwrap();
    let changed = store.change_departments(&corp, &departments, &[]).await;
    assert!(changed.unwrap() > 0);
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let account = account_of(&menshen, "hostile").await;
    let person = format!("/console/people/{account}");
    let fields = [("action", "close"), ("reason", HOSTILE)];
    assert_eq!(visit.post(&person, &fields).await.status, 303);
    assert_eq!(visit.post(&person, &[("action", "open")]).await.status, 303);
    browser.sign_in("http://sso.test/echo", "hostile").await;
    let encoded: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let queries = [
        format!("/console/people?text={encoded}"),
        format!("/console/people?department={encoded}&connector={encoded}"),
        format!("/console/sessions?login={encoded}&connector={encoded}"),
        format!("/console/routes?url={encoded}&as={encoded}&method={encoded}"),
        format!("/console/sign_in?to={encoded}"),
        format!("/console/{encoded}"),
        person,
    ];
    for lang in ["zh", "en"] {
        visit.get(&format!("/console/?lang={lang}")).await;
        for page in PAGES.into_iter().chain(queries.iter().map(String::as_str)) {
            let html = visit.get(page).await.text();
            assert!(!html.contains("<script"), "{lang} {page}: {html}");
            assert!(!html.contains("<img"), "{lang} {page}: {html}");
            assert!(!html.contains("onerror=alert(1)>"), "{lang} {page}: {html}");
        }
    }
    let shown = visit.get("/console/people").await.text();
    assert!(shown.contains("&#60;script&#62;alert"), "{shown}");
    let history = visit.get(queries.last().unwrap()).await.text();
    assert!(
        history.matches("alert(&#39;x&#39;)").count() > 2,
        "{history}"
    );
}

#[tokio::test]
async fn a_hostile_name_of_an_administrator_cannot_exist() {
    for bad in ["<b>", "a b", "a\"b", "a/../b", ""] {
        assert!(
            bad.parse::<menshen::store::AdministratorName>().is_err(),
            "{bad}"
        );
    }
}
