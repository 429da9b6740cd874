//! Requests of people, scripts, other sites and programs for every own path. Two functions list the
//! requests that may end a session, set a cookie or redirect; no other request may.

use std::time::Duration;

use url::Url;

use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SSO_URL, Setup};
use crate::wire::{self, Answer};

/// Every path below the prefix, with a query where needed.
const PATHS: &[&str] = &[
    "",
    "/",
    "/sign_in",
    "/sign_in?rd=/x&everywhere=1",
    "/start",
    "/start?rd=/x",
    "/start?connector=corp",
    "/start?go=AAAA",
    "/start?rd=/x&k=AAAAAAAAAAAAAAAAAAAAAA&f=1",
    "/callback",
    "/callback?code=1&state=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/callback/corp",
    "/callback/corp?code=1&state=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/callback/corp?error=access_denied&state=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/login-config/corp",
    "/login/corp",
    "/sign_out",
    "/sign_out?rd=http://evil.test/&everywhere=1",
    "/sign_out?state=AAAA",
    "/sign_out?switch=1&rd=http://evil.test/",
    "/logo",
    "/userinfo",
    "/ticket",
    "/ticket?t=AAAA",
    "/tokens",
    "/tokens?action=make",
    "/auth",
    "/forward-auth",
    "/ext_authz/x",
    "/backchannel-logout/corp",
    "/backchannel-logout/corp?logout_token=x",
    "/frontchannel-logout/corp",
    "/frontchannel-logout/corp?iss=x&sid=y",
    "/jwks.json",
    "/enter/corp",
    "/enter/corp?ticket=AAAA&flow=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/events/corp",
    "/saml/corp",
    "/saml/corp/metadata",
    "/saml/corp/logout",
    "/saml/corp/logout?SAMLRequest=AAAA&SigAlg=x&Signature=AAAA",
    "/ping",
    "/ready",
    "/fragment.js",
    "/frame.js",
    "/hand_over.js",
    "/password",
    "/password/corp",
    "/password/corp/change",
    "/password/corp/change?flow=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "/password/corp?flow=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&login=a&password=b",
    "/post.js",
    "/app_script/corp",
    "/app_library/corp",
    "/sign_in?connector=corp",
    "/no-such-page",
];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The initiator of a request, as its headers show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initiator {
    /// A person, by the address bar or a link of this site.
    Person,
    /// A person, by a link or form of another site.
    LinkElsewhere,
    /// A script of this origin.
    OwnScript,
    /// A form of this origin.
    OwnForm,
    /// A script of another site.
    ScriptElsewhere,
    /// An image on another site.
    ImageElsewhere,
    /// A frame on another site.
    FrameElsewhere,
    /// A script of another host below the same domain.
    ScriptOfSibling,
    /// A program without such headers.
    Program,
    /// An old browser that only sends `Accept`.
    OldBrowser,
}

const INITIATORS: [Initiator; 10] = [
    Initiator::Person,
    Initiator::LinkElsewhere,
    Initiator::OwnScript,
    Initiator::OwnForm,
    Initiator::ScriptElsewhere,
    Initiator::ImageElsewhere,
    Initiator::FrameElsewhere,
    Initiator::ScriptOfSibling,
    Initiator::Program,
    Initiator::OldBrowser,
];

impl Initiator {
    fn headers(self) -> Vec<(&'static str, &'static str)> {
        let fetch = |mode, dest, site| {
            vec![
                ("Accept", "text/html"),
                ("Sec-Fetch-Mode", mode),
                ("Sec-Fetch-Dest", dest),
                ("Sec-Fetch-Site", site),
            ]
        };
        let with_origin = |mut headers: Vec<_>, origin| {
            headers.push(("Origin", origin));
            headers
        };
        match self {
            Self::Person => fetch("navigate", "document", "none"),
            Self::LinkElsewhere => with_origin(
                fetch("navigate", "document", "cross-site"),
                "http://evil.test",
            ),
            Self::OwnScript => with_origin(fetch("cors", "empty", "same-origin"), SSO_URL),
            Self::OwnForm => with_origin(fetch("navigate", "document", "same-origin"), SSO_URL),
            Self::ScriptElsewhere => {
                with_origin(fetch("cors", "empty", "cross-site"), "http://evil.test")
            }
            Self::ImageElsewhere => fetch("no-cors", "image", "cross-site"),
            Self::FrameElsewhere => fetch("navigate", "iframe", "cross-site"),
            Self::ScriptOfSibling => {
                with_origin(fetch("cors", "empty", "same-site"), "http://oa.test")
            }
            Self::Program => vec![("Accept", "*/*")],
            Self::OldBrowser => vec![("Accept", "text/html")],
        }
    }

    /// Whether the page opens in a tab.
    fn is_navigation(self) -> bool {
        matches!(
            self,
            Self::Person | Self::LinkElsewhere | Self::OwnForm | Self::OldBrowser
        )
    }

    fn is_same_origin(self) -> bool {
        matches!(self, Self::OwnScript | Self::OwnForm)
    }
}

/// Whether a request may end its session.
fn may_end_session(path: &str, method: &str, from: Initiator) -> bool {
    path.starts_with("/sign_out")
        && match method {
            "GET" => from.is_navigation(),
            "POST" => from.is_same_origin() || from == Initiator::Person,
            _ => false,
        }
}

/// Whether a request may begin a login, with a flow cookie and a redirect to the provider.
fn may_begin_login(path: &str, method: &str, from: Initiator) -> bool {
    let starts = path.starts_with("/start") && from.is_navigation();
    let reads_login_config = path.starts_with("/login-config")
        && (from.is_same_origin()
            || matches!(
                from,
                Initiator::Person | Initiator::Program | Initiator::OldBrowser
            ));
    method == "GET" && (starts || reads_login_config)
}

/// Whether a response redirects to another place than the site or, if allowed, the provider.
fn redirects_off_site(menshen: &Menshen, answer: &Answer, may_begin_login: bool) -> bool {
    let Some(to) = answer.header("location") else {
        return false;
    };
    let to = Url::parse(SSO_URL).unwrap().join(to).unwrap();
    let wecom = Url::parse(&menshen.wecom.base_url()).unwrap();
    let is_own_origin = to.origin() == Url::parse(SSO_URL).unwrap().origin();
    !(is_own_origin || may_begin_login && to.origin() == wecom.origin())
}

/// Asserts that a response redirects and sets cookies only where the request may cause it.
fn assert_no_other_effect(
    menshen: &Menshen,
    answer: &Answer,
    (path, method, from): (&str, &str, Initiator),
    caller: &str,
) {
    let what = format!("{method} {path} {from:?} {caller}: {}", answer.status);
    assert!((200..500).contains(&answer.status), "{what}");
    let (ends, begins) = (
        may_end_session(path, method, from),
        may_begin_login(path, method, from),
    );
    assert!(
        !redirects_off_site(menshen, answer, begins),
        "{what}: {answer:?}"
    );
    for cookie in answer.header_values("set-cookie") {
        let flow = cookie.starts_with("menshen-flow-");
        let cleared = cookie.starts_with("menshen=;") && cookie.contains("Max-Age=0");
        assert!(flow && begins || cleared && ends, "{what}: {cookie}");
    }
    let allowed = answer.header("access-control-allow-origin");
    assert!(allowed.is_none(), "{what}: {allowed:?}");
    assert!(
        method != "HEAD" || answer.body.is_empty(),
        "{what}: {}",
        answer.text()
    );
}

async fn is_signed_in(browser: &Browser) -> bool {
    let url = format!("{OWN_PAGES}/userinfo");
    browser.clone().send("GET", &url, &[], b"").await.status == 200
}

#[tokio::test]
async fn no_own_path_has_unexpected_side_effects() {
    let routes = format!(
        "{ROUTES}\n[[route]]\nname = \"git\"\nhost = \"git.test\"\n\
         upstream = [\"{{app}}\"]\naccess_tokens = true\n"
    );
    let setup = Setup::default().tables(NO_LOGIN_LIMITS).routes(&routes);
    let menshen = setup.start().await;
    let mut signed_in = Browser::new(&menshen);
    signed_in.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for path in PATHS {
        let url = format!("{OWN_PAGES}{path}");
        for method in METHODS {
            for from in INITIATORS {
                let request = (*path, method, from);
                let mut without_session = Browser::new(&menshen);
                let answer = without_session
                    .send(method, &url, &from.headers(), b"")
                    .await;
                assert_no_other_effect(&menshen, &answer, request, "without a session");
                let mut tab = signed_in.clone();
                let answer = tab.send(method, &url, &from.headers(), b"").await;
                assert_no_other_effect(&menshen, &answer, request, "with a session");
                if may_end_session(path, method, from) {
                    assert!(
                        !is_signed_in(&signed_in).await,
                        "{request:?} ends the session"
                    );
                    // A login that began before the revocation would be refused.
                    menshen.advance(Duration::from_secs(1));
                    signed_in = Browser::new(&menshen);
                    signed_in.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
                } else {
                    assert!(
                        is_signed_in(&signed_in).await,
                        "{request:?} ends no session"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn own_paths_refuse_a_missing_host_and_never_redirect_to_a_forged_one() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for path in PATHS {
        for method in METHODS {
            for (version, host, is_invalid) in [
                ("1.1", "", true),
                ("1.0", "", true),
                ("1.1", "Host: \r\n", true),
                ("1.1", "Host: sso.test\r\nHost: evil.test\r\n", true),
                ("1.1", "Host: evil.test@sso.test\r\n", true),
                (
                    "1.1",
                    "Host: evil.test\r\nX-Forwarded-Host: evil.test\r\n",
                    false,
                ),
                ("1.0", "Host: evil.test\r\n", false),
            ] {
                let request = format!(
                    "{method} /.menshen{path} HTTP/{version}\r\n{host}Accept: text/html\r\n\
                     Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let answer = wire::send(menshen.address(), request.as_bytes()).await;
                let what = format!("{method} {path} {version} {host:?}: {answer:?}");
                // A check only gets a refusal; every other path explains the error.
                let refused = [400, 403, 404, 405].contains(&answer.status);
                // Health probes may have no host; their responses hold nothing secret.
                let has_no_host = ["", "Host: \r\n"].contains(&host);
                let is_probe = has_no_host && ["/ping", "/ready"].contains(path);
                assert!(refused || !is_invalid || is_probe, "{what}");
                assert!(!redirects_off_site(&menshen, &answer, false), "{what}");
                let session = |cookie: &str| {
                    cookie.starts_with("menshen=") && !cookie.starts_with("menshen=;")
                };
                assert!(!answer.header_values("set-cookie").any(session), "{what}");
            }
        }
    }
}
