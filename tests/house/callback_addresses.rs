//! The address a source returns to, where it is one that the source knows already.

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::conf::parse;
use crate::provider::{Misbehavior, Provider, start};
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};

/// Where oauth2-proxy had its callbacks.
const KNOWN: &str = "http://sso.test/oauth2/callback";

/// Two providers and WeCom, who all return to one address.
async fn shared(one: &Provider, other: &Provider, address: &str, prefix: &str) -> Menshen {
    let at = |id: &str, provider: &Provider| {
        let table = provider.toml(id);
        let head = format!("[connector.{id}]\n");
        table.replace(&head, &format!("{head}callback = \"{address}\"\n"))
    };
    let more = format!("{}{}{UNLIMITED}", at("one", one), at("two", other));
    Setup::default()
        .clock(one.clock())
        .server(&format!("prefix = \"{prefix}\""))
        .connector(&format!("callback = \"{address}\""))
        .more(&more)
        .start()
        .await
}

fn start_of(id: &str, prefix: &str) -> String {
    start(id).replace("/.menshen/", &format!("{prefix}/"))
}

#[tokio::test]
async fn what_a_provider_knows_already_is_where_logins_return() {
    for (address, prefix) in [
        (KNOWN, "/oauth2"),
        ("http://sso.test/.menshen/callback", "/.menshen"),
        ("http://sso.test/.menshen/old/sso/return.do", "/.menshen"),
        ("http://sso.test/.menshen/return/", "/.menshen"),
        // That of a connector which returns elsewhere.
        ("http://sso.test/.menshen/callback/corp", "/.menshen"),
    ] {
        let (one, other) = (Provider::new().await, Provider::new().await);
        let menshen = shared(&one, &other, address, prefix).await;
        for (id, provider) in [("one", &one), ("two", &other)] {
            let login = format!("{id}-zhangsan");
            provider
                .person("zhangsan")
                .claim("preferred_username", login.clone().into());
            let mut browser = Browser::new(&menshen);
            provider.start_session(&mut browser, "zhangsan");
            let page = browser.follow(&start_of(id, prefix)).await;
            assert_eq!(page.answer.status, 200, "{address}: {}", page.answer.text());
            assert_eq!(page.answer.echoed("x-forwarded-user"), [login.as_str()]);
            assert_eq!(page.url, format!("{HOME}/echo"));
            assert_eq!(
                provider.last("authorize").one("redirect_uri"),
                Some(address)
            );
            assert_eq!(provider.last("token").one("redirect_uri"), Some(address));
            let back = browser
                .visited
                .iter()
                .find(|url| url.contains("code="))
                .unwrap();
            assert!(back.starts_with(&format!("{address}?")), "{back}");
        }
        // WeCom returns there, too.
        let mut browser = Browser::new(&menshen);
        let start = start_of("corp", prefix);
        let source = browser.to_source(&start).await;
        let back = browser.choose(&source, "lisi").await;
        assert!(back.starts_with(address), "{back}");
        let page = browser.follow(&back).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        // Seen again it is harmless, for whoever came in by it.
        let page = browser.follow(&back).await;
        assert_eq!(page.url, format!("{HOME}/echo"));
    }
}

#[tokio::test]
async fn an_answer_counts_for_the_login_that_its_browser_remembers() {
    let (one, other) = (Provider::new().await, Provider::new().await);
    let menshen = shared(&one, &other, KNOWN, "/oauth2").await;
    let callback_url = async |browser: &mut Browser, id: &str, provider: &Provider| {
        provider.start_session(browser, "zhangsan");
        let at_callback = |next: &str| next.contains("/oauth2/callback");
        browser
            .follow_until(&start_of(id, "/oauth2"), at_callback)
            .await
            .url
    };
    // Two tabs, two providers: each answer is redeemed where it came from.
    let mut browser = Browser::new(&menshen);
    let ones = callback_url(&mut browser, "one", &one).await;
    let others = callback_url(&mut browser, "two", &other).await;
    let page = browser.follow(&ones).await;
    assert_eq!(page.answer.status, 200);
    assert_eq!((one.calls("code"), other.calls("code")), (1, 0));
    other
        .person("zhangsan")
        .claim("preferred_username", "two".into());
    let page = browser.follow(&others).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!((one.calls("code"), other.calls("code")), (1, 1));
    // One provider's answer under another's state names its issuer, and goes nowhere.
    let mut browser = Browser::new(&menshen);
    let ones = url::Url::parse(&callback_url(&mut browser, "one", &one).await).unwrap();
    let others = url::Url::parse(&callback_url(&mut browser, "two", &other).await).unwrap();
    let state = |url: &url::Url| {
        let found = url.query_pairs().find(|(name, _)| name == "state");
        found.unwrap().1.into_owned()
    };
    let mixed = ones.as_str().replace(&state(&ones), &state(&others));
    let page = browser.follow(&mixed).await;
    assert_eq!(page.cause(), Some(Cause::BadAnswer));
    assert_eq!((one.calls("code"), other.calls("code")), (1, 1));
    // Another browser's answer is nobody's.
    let mut attacker = Browser::new(&menshen);
    let bait = callback_url(&mut attacker, "one", &one).await;
    let mut victim = Browser::new(&menshen);
    assert_eq!(
        victim.follow(&bait).await.cause(),
        Some(Cause::LoginMissing)
    );
    assert!(victim.cookie("menshen").is_none());
    assert_eq!(one.calls("code"), 1);
}

#[tokio::test]
async fn a_login_does_not_return_to_the_address_of_another_connector() {
    let provider = Provider::new().await;
    let table = provider.toml("keycloak");
    let own = table.replace(
        "[connector.keycloak]\n",
        "[connector.keycloak]\ncallback = 'http://sso.test/.menshen/sso/return'\n",
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .more(&format!("{own}{UNLIMITED}"));
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    provider.start_session(&mut browser, "zhangsan");
    let at_callback = |next: &str| next.contains("/sso/return");
    let back = browser
        .follow_until(&start("keycloak"), at_callback)
        .await
        .url;
    let elsewhere = back.replace("/sso/return", "/callback/corp");
    assert_eq!(
        browser.clone().follow(&elsewhere).await.cause(),
        Some(Cause::LoginForged)
    );
    for none in ["/sso/return/x", "/sso", "/sso/Return"] {
        let answer = browser
            .clone()
            .visit(&back.replace("/sso/return", none))
            .await;
        assert_eq!(answer.status, 404, "{none}");
    }
    let answer = browser.clone().send("POST", &back, &[], b"").await;
    assert_eq!(answer.status, 405, "it does not answer by POST");
    let page = browser.follow(&back).await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn an_answer_by_post_comes_to_a_shared_address_too() {
    let https = "https://sso.test";
    let provider = Provider::new().await;
    let table = provider.toml("keycloak").replace(
        "[connector.keycloak]\n",
        "[connector.keycloak]\ncallback = 'https://sso.test/.menshen/return'\n",
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .external_url(https)
        .server("trusted_proxies = ['127.0.0.1']")
        .connector("callback = 'https://sso.test/.menshen/return'")
        .more(&format!("{table}response_mode = 'form_post'\n{UNLIMITED}"));
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen).over_https();
    provider.start_session(&mut browser, "zhangsan");
    let start = format!("{https}/.menshen/start?connector=keycloak&rd=%2Fecho");
    let page = browser.follow(&start).await;
    let page = browser.submit(&page).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!(page.url, format!("{https}/echo"));
}

#[tokio::test]
async fn an_answer_without_a_name_is_taken_to_no_other_provider() {
    let (one, other) = (Provider::new().await, Provider::new().await);
    let menshen = shared(&one, &other, KNOWN, "/oauth2").await;
    // One that announces its name and leaves it out.
    one.misbehave(Misbehavior::back(|pairs| {
        pairs.retain(|(name, _)| name != "iss")
    }));
    let mut browser = Browser::new(&menshen);
    one.start_session(&mut browser, "zhangsan");
    let page = browser.follow(&start_of("one", "/oauth2")).await;
    assert_eq!(page.cause(), Some(Cause::BadAnswer));
    assert_eq!((one.calls("code"), other.calls("code")), (0, 0));
}

const HEAD: &str = "\
[server]
external_url = \"https://sso.corp.example\"
prefix = \"/oauth2\"
trusted_proxies = [\"10.0.0.1\"]
[connector.kc]
";

const REST: &str = "\
[connector.kc.oidc]
issuer = \"https://id.corp.example\"
client_id = \"menshen\"
[[route]]
name = \"a\"
upstream = [\"http://127.0.0.1:1\"]
";

#[test]
fn an_address_where_no_answer_could_arrive_is_refused() {
    use menshen::config::Config;
    for (address, words) in [
        (
            "https://other.corp.example/oauth2/callback",
            "callback_base",
        ),
        ("http://sso.corp.example/oauth2/callback", "callback_base"),
        (
            "https://sso.corp.example:8443/oauth2/callback",
            "callback_base",
        ),
        ("https://sso.corp.example/callback", "below /oauth2/"),
        ("https://sso.corp.example/oauth2", "below /oauth2/"),
        ("https://sso.corp.example/oauth2/", "below /oauth2/"),
        (
            "https://sso.corp.example/oauth2x/callback",
            "below /oauth2/",
        ),
        (
            "https://sso.corp.example/oauth2/callback?x=1",
            "without query",
        ),
        (
            "https://sso.corp.example/oauth2/callback#x",
            "without query",
        ),
        ("https://sso.corp.example/oauth2/a%2fb", "letters"),
        ("https://sso.corp.example/oauth2/a//b", "letters"),
        (
            "https://sso.corp.example/oauth2/start",
            "a page of menshen's",
        ),
        (
            "https://sso.corp.example/oauth2/auth/x",
            "a page of menshen's",
        ),
        (
            "https://sso.corp.example/oauth2/x/../sign_out",
            "a page of menshen's",
        ),
        (
            "https://u:p@sso.corp.example/oauth2/callback",
            "below /oauth2/",
        ),
        ("/oauth2/callback", "callback"),
    ] {
        let text = format!("{HEAD}callback = \"{address}\"\n{REST}");
        let error = match Config::parse(&text, "menshen.toml") {
            Ok(_) => panic!("{address} is accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{address}: {error}");
        assert!(error.contains(":6:12"), "{address}: {error}");
    }
}

#[test]
fn an_address_where_answers_arrive_is_taken_and_one_that_two_share_is_read_out() {
    for lines in [
        "callback = \"https://sso.corp.example/oauth2/callback\"",
        "callback = \"https://SSO.corp.example:443/oauth2/callback/keycloak\"",
        "callback_base = \"https://in.corp.example\"\ncallback = \"https://in.corp.example/oauth2/callback\"",
    ] {
        assert_eq!(
            parse(&format!("{HEAD}{lines}\n{REST}")).warnings(),
            [],
            "{lines}"
        );
    }
    // Two who share one must trust each other.
    let line = "callback = \"https://sso.corp.example/oauth2/callback\"\n";
    let two = format!(
        "{HEAD}{line}[connector.other]\n{line}[connector.other.oidc]\nissuer = \"https://b.example\"\n\
         client_id = \"b\"\n{REST}"
    );
    let warned: Vec<_> = parse(&two)
        .warnings()
        .into_iter()
        .map(|one| one.key)
        .collect();
    assert_eq!(
        warned,
        ["connector.kc.callback", "connector.other.callback"]
    );
}
