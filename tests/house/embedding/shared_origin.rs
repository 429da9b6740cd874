//! With an application on the login host, frames get no tickets: its scripts have the origin of the
//! consent page and could read them.

use super::*;

/// Routes and `[login]` tables with an application or a front end on the login host.
fn applications() -> Vec<(String, String)> {
    let route = |lines: &str| format!("{ROUTES}\n[[route]]\nname = \"home\"\n{lines}\n");
    let routes = [
        route("host = \"sso.test\"\nupstream = [\"{app}\"]"),
        route("host = \"sso.test:443\"\npath = \"/wiki\"\nupstream = [\"{app}\"]"),
        route("host = \"*.test\"\nupstream = [\"{app}\"]"),
        route("upstream = [\"{app}\"]"),
        // An application behind another proxy, which sends checks.
        route("host = \"sso.test\""),
    ];
    let login = format!("{NO_LOGIN_LIMITS}\norigins = [\"{SSO_URL}\"]\n");
    let routes = routes
        .into_iter()
        .map(|it| (it, NO_LOGIN_LIMITS.to_owned()));
    routes.chain([(ROUTES.to_owned(), login)]).collect()
}

#[tokio::test]
async fn a_same_origin_script_cannot_read_consent_or_ticket() {
    for (routes, login) in applications() {
        let menshen = setup().routes(&routes).tables(&login).start().await;
        let mut victim = signed_in_tab(&menshen).await;
        // The URL of a frame that waits for a ticket, with the attacker's nonce.
        let rd = "https%3A%2F%2Foa.test%2Fecho&k=AAAAAAAAAAAAAAAAAAAAAA&f=1";
        for page in ["start", "sign_in"] {
            let answer = victim
                .visit(&format!("{SSO_URL}/.menshen/{page}?rd={rd}"))
                .await;
            let html = answer.text();
            assert!(!html.contains("name=\"go\""), "{routes} {html}");
            assert!(!html.contains("f=1"), "{routes} {html}");
            assert_eq!(ticket_in(&answer), None, "{routes}");
        }
    }
}

#[tokio::test]
async fn a_frame_without_tickets_offers_to_continue_in_a_tab() {
    for (routes, login) in applications() {
        let menshen = setup().routes(&routes).tables(&login).start().await;
        for (lang, words) in [
            ("zh-CN", ["请在新标签页中登录", "请在新标签页中继续使用"]),
            ("en", ["sign in in a new tab", "go on in the new tab"]),
        ] {
            let mut frame = Frame::new(&menshen, "https://oa.test/echo?a=1");
            let language = ("Accept-Language".to_owned(), lang.to_owned());
            frame.cookies.extra_headers.push(language);
            let page = frame.load().await;
            let html = page.text();
            assert_eq!(
                (page.status, page.cause()),
                (401, Some(Cause::FrameNeedsLogin))
            );
            assert!(
                page.header("x-frame-options").is_none(),
                "the frame shows the page"
            );
            assert!(words.iter().all(|it| html.contains(it)), "{html}");
            assert_eq!(
                page.header_values("set-cookie").count(),
                0,
                "no nonce: {routes}"
            );
            assert!(!html.contains("<script"), "{html}");
            // After the login the tab shows the application.
            let mut tab = Browser::new(&menshen).over_https();
            let page = tab.sign_in(&tab_link(&html), "lisi").await;
            assert_eq!(page.url, "https://oa.test/echo?a=1", "{routes}");
            assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        }
    }
}

/// The URL of the page's only button.
fn tab_link(html: &str) -> String {
    let link = href(html, "/.menshen/").unwrap_or_else(|| panic!("no button to sign in: {html}"));
    let base = Url::parse("https://oa.test").unwrap();
    base.join(&link).unwrap().to_string()
}

#[tokio::test]
async fn an_application_on_another_port_has_its_own_origin() {
    let routes = format!(
        "{ROUTES}\n[[route]]\nname = \"other\"\nhost = \"sso.test:8443\"\nupstream = [\"{{app}}\"]\n"
    );
    let menshen = setup().routes(&routes).start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let ticket = ticket_for(&menshen, &mut frame).await;
    assert_eq!(frame.receive(&ticket).await.status, 303);
    assert_eq!(frame.signed_in_user().await, ["lisi"]);
}
