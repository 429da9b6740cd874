//! `callback`: callback URLs that are already registered at the provider, such as those of a former proxy.

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::conf::parse;
use crate::provider::{Misbehavior, Provider, start_url};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The callback URL of oauth2-proxy.
const OAUTH2_PROXY_CALLBACK: &str = "http://sso.test/oauth2/callback";

/// Starts menshen with two providers and WeCom, whose connectors share one callback URL.
async fn start_with_shared_callback(
    one: &Provider,
    other: &Provider,
    address: &str,
    prefix: &str,
) -> Menshen {
    let at = |id: &str, provider: &Provider| {
        let table = provider.toml(id);
        let head = format!("[connector.{id}]\n");
        table.replace(&head, &format!("{head}callback = \"{address}\"\n"))
    };
    let more = format!("{}{}{NO_LOGIN_LIMITS}", at("one", one), at("two", other));
    Setup::default()
        .clock(one.clock())
        .server(&format!("prefix = \"{prefix}\""))
        .connector(&format!("callback = \"{address}\""))
        .tables(&more)
        .start()
        .await
}

fn start_url_with_prefix(id: &str, prefix: &str) -> String {
    start_url(id).replace("/.menshen/", &format!("{prefix}/"))
}

#[tokio::test]
async fn logins_return_to_the_configured_callback_url() {
    for (address, prefix) in [
        (OAUTH2_PROXY_CALLBACK, "/oauth2"),
        ("http://sso.test/.menshen/callback", "/.menshen"),
        ("http://sso.test/.menshen/old/sso/return.do", "/.menshen"),
        ("http://sso.test/.menshen/return/", "/.menshen"),
        // The default callback path of a connector with another callback URL.
        ("http://sso.test/.menshen/callback/corp", "/.menshen"),
    ] {
        let (one, other) = (Provider::new().await, Provider::new().await);
        let menshen = start_with_shared_callback(&one, &other, address, prefix).await;
        for (id, provider) in [("one", &one), ("two", &other)] {
            let login = format!("{id}-zhangsan");
            provider
                .person("zhangsan")
                .claim("preferred_username", login.clone().into());
            let mut browser = Browser::new(&menshen);
            provider.start_session(&mut browser, "zhangsan");
            let page = browser.follow(&start_url_with_prefix(id, prefix)).await;
            assert_eq!(page.answer.status, 200, "{address}: {}", page.answer.text());
            assert_eq!(page.answer.echoed("x-forwarded-user"), [login.as_str()]);
            assert_eq!(page.url, format!("{SSO_URL}/echo"));
            assert_eq!(
                provider.last_request("authorize").parameter("redirect_uri"),
                Some(address)
            );
            assert_eq!(
                provider.last_request("token").parameter("redirect_uri"),
                Some(address)
            );
            let callback_url = browser
                .visited
                .iter()
                .find(|url| url.contains("code="))
                .unwrap();
            assert!(
                callback_url.starts_with(&format!("{address}?")),
                "{callback_url}"
            );
        }
        let mut browser = Browser::new(&menshen);
        let start = start_url_with_prefix("corp", prefix);
        let login_page = browser.open_login_page(&start).await;
        let callback_url = browser.choose_person(&login_page, "lisi").await;
        assert!(callback_url.starts_with(address), "{callback_url}");
        let page = browser.follow(&callback_url).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        // A repeated callback by the same browser does no harm.
        let page = browser.follow(&callback_url).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo"));
    }
}

#[tokio::test]
async fn a_response_belongs_to_the_login_in_the_browsers_cookie() {
    let (one, other) = (Provider::new().await, Provider::new().await);
    let menshen = start_with_shared_callback(&one, &other, OAUTH2_PROXY_CALLBACK, "/oauth2").await;
    let callback_url = async |browser: &mut Browser, id: &str, provider: &Provider| {
        provider.start_session(browser, "zhangsan");
        let at_callback = |next: &str| next.contains("/oauth2/callback");
        browser
            .follow_until(&start_url_with_prefix(id, "/oauth2"), at_callback)
            .await
            .url
    };
    // In two tabs with two providers, each connector redeems the code of its own provider.
    let mut browser = Browser::new(&menshen);
    let callback_of_one = callback_url(&mut browser, "one", &one).await;
    let callback_of_two = callback_url(&mut browser, "two", &other).await;
    let page = browser.follow(&callback_of_one).await;
    assert_eq!(page.answer.status, 200);
    assert_eq!((one.code_grants(), other.code_grants()), (1, 0));
    other
        .person("zhangsan")
        .claim("preferred_username", "two".into());
    let page = browser.follow(&callback_of_two).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!((one.code_grants(), other.code_grants()), (1, 1));
    // A response with the state of the other login is refused, because it names its own issuer.
    let mut browser = Browser::new(&menshen);
    let callback_of_one = url::Url::parse(&callback_url(&mut browser, "one", &one).await).unwrap();
    let callback_of_two =
        url::Url::parse(&callback_url(&mut browser, "two", &other).await).unwrap();
    let state = |url: &url::Url| {
        let found = url.query_pairs().find(|(name, _)| name == "state");
        found.unwrap().1.into_owned()
    };
    let mixed = callback_of_one
        .as_str()
        .replace(&state(&callback_of_one), &state(&callback_of_two));
    let page = browser.follow(&mixed).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert_eq!((one.code_grants(), other.code_grants()), (1, 1));
    // A response is refused in another browser.
    let mut attacker = Browser::new(&menshen);
    let callback_url_of_attacker = callback_url(&mut attacker, "one", &one).await;
    let mut victim = Browser::new(&menshen);
    assert_eq!(
        victim.follow(&callback_url_of_attacker).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    assert!(victim.cookie("menshen").is_none());
    assert_eq!(one.code_grants(), 1);
}

#[tokio::test]
async fn a_login_does_not_return_to_another_connectors_callback_url() {
    let provider = Provider::new().await;
    let table = provider.toml("keycloak");
    let table_with_callback = table.replace(
        "[connector.keycloak]\n",
        "[connector.keycloak]\ncallback = 'http://sso.test/.menshen/sso/return'\n",
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .tables(&format!("{table_with_callback}{NO_LOGIN_LIMITS}"));
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    provider.start_session(&mut browser, "zhangsan");
    let at_callback = |next: &str| next.contains("/sso/return");
    let callback_url = browser
        .follow_until(&start_url("keycloak"), at_callback)
        .await
        .url;
    let other_callback = callback_url.replace("/sso/return", "/callback/corp");
    assert_eq!(
        browser.clone().follow(&other_callback).await.cause(),
        Some(Cause::FlowCookieForged)
    );
    for path in ["/sso/return/x", "/sso", "/sso/Return"] {
        let answer = browser
            .clone()
            .visit(&callback_url.replace("/sso/return", path))
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer = browser.clone().send("POST", &callback_url, &[], b"").await;
    assert_eq!(
        answer.status, 405,
        "this provider does not send its response by POST"
    );
    let page = browser.follow(&callback_url).await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_form_post_response_works_at_a_shared_callback_url() {
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
        .tables(&format!(
            "{table}response_mode = 'form_post'\n{NO_LOGIN_LIMITS}"
        ));
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
async fn a_response_without_an_issuer_is_sent_to_no_other_provider() {
    let (one, other) = (Provider::new().await, Provider::new().await);
    let menshen = start_with_shared_callback(&one, &other, OAUTH2_PROXY_CALLBACK, "/oauth2").await;
    // The provider announces the parameter `iss` and then omits it.
    one.misbehave(Misbehavior::redirect_parameters(|pairs| {
        pairs.retain(|(name, _)| name != "iss")
    }));
    let mut browser = Browser::new(&menshen);
    one.start_session(&mut browser, "zhangsan");
    let page = browser
        .follow(&start_url_with_prefix("one", "/oauth2"))
        .await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert_eq!((one.code_grants(), other.code_grants()), (0, 0));
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
fn an_unreachable_callback_url_is_a_configuration_error() {
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
        ("https://sso.corp.example/oauth2/start", "a page of menshen"),
        (
            "https://sso.corp.example/oauth2/auth/x",
            "a page of menshen",
        ),
        (
            "https://sso.corp.example/oauth2/x/../sign_out",
            "a page of menshen",
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
fn a_reachable_callback_url_is_accepted_and_a_shared_one_is_reported() {
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
    // Connectors with one callback URL must trust each other.
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
