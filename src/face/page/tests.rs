//! Tests over all pages.

use std::path::Path;
use std::sync::LazyLock;

use super::*;
use crate::login::connector::{Features, Kind as _, LocalizedText, wecom::Config};

mod company;
mod complete;
mod list;
mod typography;

use list::{info, pages, sign_in};

const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&";
const LANGS: [Lang; 2] = [Lang::Zh, Lang::En];
/// A site without `[pages]`.
static MENSHENS: LazyLock<Pages> = LazyLock::new(Pages::default);

/// The values that a page gets from outside.
struct Inputs<'a> {
    request_id: &'a str,
    host: &'a str,
    connector_name: &'a str,
    route: &'a str,
    name: &'a str,
    login: &'a str,
    href: &'a str,
    owner: Owner,
}

/// Whose the pages are.
#[derive(Clone, Copy)]
enum Owner {
    Menshen,
    Company,
    /// A company whose names are as long as they may be, or longer than a line.
    LongCompany,
}

const PLAIN: Inputs<'_> = Inputs {
    request_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    host: "oa.corp.example",
    connector_name: "企业微信",
    route: "oa",
    name: "张三",
    login: "zhangsan",
    href: "/.menshen/start?connector=corp&rd=%2F",
    owner: Owner::Menshen,
};

const HOSTILE_INPUTS: Inputs<'_> = Inputs {
    request_id: HOSTILE,
    host: HOSTILE,
    connector_name: HOSTILE,
    route: HOSTILE,
    name: HOSTILE,
    login: HOSTILE,
    href: "javascript:alert(1)//\"><script>alert(2)</script>",
    owner: Owner::Menshen,
};

#[test]
fn pages_show_their_request_id_where_something_is_wrong() {
    for (name, page) in pages(&PLAIN) {
        let is_wrong = [
            "problem-",
            "forbidden",
            "sign-in-LoopDetected",
            "sign-in-none",
        ]
        .iter()
        .any(|wrong| name.starts_with(wrong));
        let label = texts::of(page.lang).request_id;
        assert_eq!(page.html.contains(label), is_wrong, "{name}");
        assert!(page.html.contains(PLAIN.host), "{name}");
        assert!(
            page.html
                .contains(&format!("<html lang=\"{}\">", page.lang.tag())),
            "{name}"
        );
    }
}

#[test]
fn untrusted_text_is_never_markup() {
    let tags_of_plain_pages: Vec<_> = pages(&PLAIN)
        .into_iter()
        .map(|(_, page)| tag_names(&page))
        .collect();
    for ((name, page), expected) in pages(&HOSTILE_INPUTS).into_iter().zip(tags_of_plain_pages) {
        assert!(!page.html.contains("<script>"), "{name}");
        assert!(!page.html.contains("<img"), "{name}");
        assert!(!page.html.contains("javascript:"), "{name}");
        assert_eq!(tag_names(&page), expected, "{name} has no additional tags");
    }
}

#[test]
fn no_page_loads_external_resources() {
    for (name, page) in pages(&PLAIN) {
        let html = page.html.replace("http://www.w3.org/2000/svg", "");
        for foreign in [
            "http:",
            "https:",
            "//",
            "url(",
            "@import",
            " style=",
            "<link rel=\"style",
        ] {
            assert!(!html.contains(foreign), "{name} contains {foreign}");
        }
        let tags = html.split('<').filter_map(|tag| tag.split('>').next());
        let handler = tags
            .flat_map(str::split_whitespace)
            .find(|part| part.starts_with("on") && part.contains('='));
        assert_eq!(handler, None, "{name} contains an event handler");
    }
}

#[test]
fn the_policy_allows_the_embedded_style_sheet() {
    use base64::Engine as _;
    for (name, page) in pages(&PLAIN) {
        let (_, rest) = page.html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        let policy = page.content_security_policy(&[]);
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}';")),
            "{name}"
        );
        let is_sandboxed = policy.starts_with("sandbox; default-src 'none';");
        assert_eq!(is_sandboxed, name.starts_with("tokens-made"), "{name}");
        let is_closed = policy.starts_with("default-src 'none';");
        assert!(is_sandboxed || is_closed, "{name}");
        assert_eq!(
            page.html.contains("<script"),
            policy.contains("script-src"),
            "{name}"
        );
    }
}

#[test]
fn form_targets_cannot_inject_into_the_policy() {
    let page = &pages(&PLAIN)[0].1;
    let policy = page.content_security_policy(&[
        "https://sso.corp.example",
        "https://x; script-src *",
        "https://x\r\nset-cookie: a=b",
        "javascript:",
        "*",
    ]);
    assert!(policy.contains("form-action 'self' https://sso.corp.example; frame-ancestors"));
    assert!(!policy.contains('*') && !policy.contains('\r'));
}

#[test]
fn the_policy_names_one_script_of_the_source_and_nothing_of_a_hostile_url() {
    let policy = |script: &str| {
        let page = AppLoginPage {
            info: info(&PLAIN),
            connector_name: "钉钉",
            login_url: Href::new("/.menshen/login/ding"),
            state: "s",
            data: Vec::new(),
            client_script: Href::new(script),
            client_script_is_foreign: true,
            script: Href::new("/.menshen/app_script/ding"),
            web_url: Href::new("https://login.corp.example/"),
        };
        page.render(Lang::En).content_security_policy(&[])
    };
    let script = "https://g.corp.example:8443/a@1.2/open_3-0~x.js";
    let expected = format!("script-src 'self' {script}; connect-src 'self'; img-src 'self' data:;");
    assert!(policy(script).contains(&expected), "{}", policy(script));
    for hostile in [
        "https://g.corp.example/a;script-src *",
        "https://g.corp.example/a b",
        "https://g.corp.example/a,b",
        "https://g.corp.example/a?b",
        "https://g.corp.example",
        "https:///a",
        "javascript:alert(1)",
    ] {
        let policy = policy(hostile);
        assert!(
            policy.contains("script-src 'self'; connect-src 'self';"),
            "{policy}"
        );
    }
}

#[test]
fn only_pages_shown_in_frames_may_be_framed() {
    for (name, page) in pages(&PLAIN) {
        let is_page_of = |cause: Cause| name.starts_with(&format!("problem-{}-", cause.slug()));
        let framed = is_page_of(Cause::FrameNeedsLogin)
            || is_page_of(Cause::FormNeedsLogin)
            || name.starts_with("frame-");
        let headers = page.headers(&[]);
        let denied = headers.contains(&("x-frame-options", "DENY".to_owned()));
        assert_eq!(denied, !framed, "{name}");
        let is_framing_denied = page
            .content_security_policy(&[])
            .contains("frame-ancestors 'none'");
        assert_eq!(is_framing_denied, !framed, "{name}");
    }
}

#[test]
fn a_single_connector_is_one_button_without_a_list() {
    for lang in LANGS {
        let mut page = sign_in(&PLAIN, 1);
        page.signed_in = None;
        let html = page.render(lang).html;
        assert!(html.contains("class=\"button primary\"") && !html.contains("<h2>"));
        page.choices = Vec::new();
        let html = page.render(lang).html;
        assert!(html.contains(texts::of(lang).sign_in.no_choice));
        page.is_portal_only = true;
        let html = page.render(lang).html;
        assert!(html.contains(texts::of(lang).sign_in.portal_only));
    }
}

#[test]
fn where_nobody_can_sign_in_no_page_asks_to_do_so() {
    for (lang, demands) in [
        (
            Lang::Zh,
            ["请先登录", "登录后即可", "在下方选择", "点击下方"],
        ),
        (
            Lang::En,
            ["Please sign in", "Sign in to continue", "below", "button"],
        ),
    ] {
        for is_portal_only in [false, true] {
            for reason in [
                None,
                Some(SignInReason::SignedOut),
                Some(SignInReason::OtherConnector),
                Some(SignInReason::LoopDetected),
            ] {
                let page = |choices| SignInPage {
                    reason,
                    is_portal_only,
                    hints: Vec::new(),
                    ..sign_in(&PLAIN, choices)
                };
                let shown = |choices| typography::text(&page(choices).render(lang).html);
                let text = shown(0);
                for demand in demands {
                    assert!(!text.contains(demand), "{demand} in {text}");
                }
                assert!(shown(1).contains(demands[0]), "{}", shown(1));
            }
        }
    }
}

/// Writes all pages to a folder: `MENSHEN_PAGES=/tmp/pages cargo test face::page`.
#[test]
fn pages_are_written_to_files_for_review() {
    let Some(directory) = std::env::var_os("MENSHEN_PAGES") else {
        return;
    };
    std::fs::create_dir_all(&directory).unwrap();
    for (owner, inputs) in [
        ("menshen", PLAIN),
        ("company", company::inputs()),
        ("long", company::LONG_INPUTS),
    ] {
        for (name, page) in pages(&inputs) {
            let file = |end: &str| Path::new(&directory).join(format!("{owner}-{name}.{end}"));
            let policy = page.content_security_policy(&[]);
            std::fs::write(file("policy"), policy).unwrap();
            std::fs::write(file("html"), page.html).unwrap();
        }
    }
}

/// The names of the tags of a page, in order.
fn tag_names(page: &Page) -> Vec<String> {
    let tags = page.html.split('<').skip(1);
    tags.map(|tag| {
        tag.split([' ', '>', '\n'])
            .next()
            .unwrap_or_default()
            .to_owned()
    })
    .collect()
}
