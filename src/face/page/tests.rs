//! What every page promises.

use std::path::Path;

use super::*;
use crate::login::connector::{Features, Kind as _, LocalizedText, wecom::Config};

const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&";
const BOTH: [Lang; 2] = [Lang::Zh, Lang::En];

/// What is put into a page from outside.
struct Given<'a> {
    text: &'a str,
    site: &'a str,
    source: &'a str,
    route: &'a str,
    name: &'a str,
    login: &'a str,
    href: &'a str,
}

const KIND: Given<'_> = Given {
    text: "4bf92f3577b34da6a3ce929d0e0e4736",
    site: "oa.corp.example",
    source: "企业微信",
    route: "oa",
    name: "张三",
    login: "zhangsan",
    href: "/.menshen/start?connector=corp&rd=%2F",
};

const CRUEL: Given<'_> = Given {
    text: HOSTILE,
    site: HOSTILE,
    source: HOSTILE,
    route: HOSTILE,
    name: HOSTILE,
    login: HOSTILE,
    href: "javascript:alert(1)//\"><script>alert(2)</script>",
};

#[test]
fn every_page_tells_its_request_id_in_both_languages() {
    for (name, page) in pages(&KIND) {
        assert!(page.html.contains(KIND.text), "{name}");
        assert!(page.html.contains(KIND.site), "{name}");
        assert!(
            page.html
                .contains(&format!("<html lang=\"{}\">", page.lang.tag())),
            "{name}"
        );
    }
}

#[test]
fn what_comes_from_outside_is_never_markup() {
    let harmless: Vec<_> = pages(&KIND)
        .into_iter()
        .map(|(_, page)| shape(&page))
        .collect();
    for ((name, page), shape_of_kind) in pages(&CRUEL).into_iter().zip(harmless) {
        assert!(!page.html.contains("<script>"), "{name}");
        assert!(!page.html.contains("<img"), "{name}");
        assert!(!page.html.contains("javascript:"), "{name}");
        assert_eq!(
            shape(&page),
            shape_of_kind,
            "{name} has the tags it was written with"
        );
    }
}

#[test]
fn no_page_needs_anything_from_elsewhere() {
    for (name, page) in pages(&KIND) {
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
            assert!(!html.contains(foreign), "{name} holds {foreign}");
        }
        let tags = html.split('<').filter_map(|tag| tag.split('>').next());
        let handler = tags
            .flat_map(str::split_whitespace)
            .find(|part| part.starts_with("on") && part.contains('='));
        assert_eq!(handler, None, "{name} holds an event handler");
    }
}

#[test]
fn a_policy_admits_the_style_sheet_as_it_stands_in_the_page() {
    use base64::Engine as _;
    for (name, page) in pages(&KIND) {
        let (_, rest) = page.html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        let policy = page.content_security_policy(&[]);
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}';")),
            "{name}"
        );
        assert!(policy.starts_with("default-src 'none';"), "{name}");
        assert_eq!(
            page.html.contains("<script"),
            policy.contains("script-src"),
            "{name}"
        );
    }
}

#[test]
fn a_policy_takes_origins_for_forms_and_nothing_that_could_change_it() {
    let page = &pages(&KIND)[0].1;
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
fn only_pages_that_may_have_been_asked_for_in_a_frame_may_be_shown_in_one() {
    for (name, page) in pages(&KIND) {
        let framed = name.starts_with("problem-frame-login")
            || name.starts_with("problem-form-login")
            || name.starts_with("frame-");
        let headers = page.headers(&[]);
        let denied = headers.contains(&("x-frame-options", "DENY".to_owned()));
        assert_eq!(denied, !framed, "{name}");
        let ancestors = page
            .content_security_policy(&[])
            .contains("frame-ancestors 'none'");
        assert_eq!(ancestors, !framed, "{name}");
    }
}

#[test]
fn nobody_is_greeted_with_a_choice_of_one() {
    for lang in BOTH {
        let mut page = sign_in(&KIND, 1);
        page.present = None;
        let html = page.render(lang).html;
        assert!(html.contains("class=\"button primary\"") && !html.contains("<h2>"));
        page.choices = Vec::new();
        let html = page.render(lang).html;
        assert!(html.contains(words::of(lang).sign_in.no_choice));
        page.by_portal = true;
        let html = page.render(lang).html;
        assert!(html.contains(words::of(lang).sign_in.by_portal));
    }
}

/// Shows the pages to whoever builds them: `MENSHEN_PAGES=/tmp/pages cargo test face::page`.
#[test]
fn the_pages_can_be_looked_at() {
    let Some(directory) = std::env::var_os("MENSHEN_PAGES") else {
        return;
    };
    std::fs::create_dir_all(&directory).unwrap();
    for (name, page) in pages(&KIND) {
        let policy = page.content_security_policy(&[]);
        std::fs::write(Path::new(&directory).join(format!("{name}.policy")), policy).unwrap();
        std::fs::write(
            Path::new(&directory).join(format!("{name}.html")),
            page.html,
        )
        .unwrap();
    }
}

/// The tags of a page in their order, without attributes' values.
fn shape(page: &Page) -> Vec<String> {
    let tags = page.html.split('<').skip(1);
    tags.map(|tag| {
        tag.split([' ', '>', '\n'])
            .next()
            .unwrap_or_default()
            .to_owned()
    })
    .collect()
}

fn pages(given: &Given<'_>) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for lang in BOTH {
        let tag = lang.tag();
        let mut add = |name: &str, page: Page| pages.push((format!("{name}-{tag}"), page));
        for cause in Cause::ALL {
            add(
                &format!("problem-{}", cause.slug()),
                problem(given, cause).render(lang),
            );
        }
        let mut alone = sign_in(given, 1);
        alone.present = None;
        add("sign-in-one", alone.render(lang));
        for reason in [
            SignInReason::Expired,
            SignInReason::OtherConnector,
            SignInReason::StepUp,
            SignInReason::SignedOut,
            SignInReason::LoopDetected,
        ] {
            alone.reason = Some(reason);
            add(&format!("sign-in-{reason:?}"), alone.render(lang));
        }
        (alone.notices, alone.hints) = said("MicroMessenger/8.0.50");
        alone.reason = None;
        add("sign-in-wechat", alone.render(lang));
        add("sign-in-present", sign_in(given, 3).render(lang));
        let mut three = sign_in(given, 3);
        three.present = None;
        add("sign-in-three", three.render(lang));
        for everywhere in [false, true] {
            let page = SignedOutPage {
                info: info(given),
                source: Some(given.source),
                everywhere,
                sign_in: Href::new(given.href),
            };
            add(&format!("signed-out-{everywhere}"), page.render(lang));
        }
        let page = ForbiddenPage {
            info: info(given),
            route: given.route,
            who: PersonName {
                name: Some(given.name),
                login: given.login,
            },
            switch: Href::new(given.href),
            back: Some(Href::new(given.href)),
        };
        add("forbidden", page.render(lang));
        for (name, page) in leading_elsewhere(given, lang) {
            add(&name, page);
        }
        let page = FragmentPage {
            info: info(given),
            start: Href::new(given.href),
            script: Href::new(given.href),
        };
        add("fragment", page.render(lang));
        for (name, page) in with_forms(given, lang) {
            add(&name, page);
        }
    }
    pages
}

/// The pages by which somebody goes on to a source or types a password.
fn with_forms(given: &Given<'_>, lang: Lang) -> Vec<(String, Page)> {
    let post = PostPage {
        info: info(given),
        source: given.source,
        to: Href::new(given.href),
        fields: vec![("SAMLRequest", given.text), (given.name, given.login)],
        script: Href::new(given.href),
    };
    let who = |name, login| PersonName { name, login };
    let switch = SwitchPage {
        info: info(given),
        present: who(Some(given.name), given.login),
        arrived: who(None, given.login),
        post_to: Href::new(given.href),
        flow: given.text,
        stay: Href::new(given.href),
    };
    let mut pages = vec![
        ("post".to_owned(), post.render(lang)),
        ("switch".to_owned(), switch.render(lang)),
    ];
    let notices = [
        (None, "", false),
        (Some(PasswordNotice::Wrong), given.login, true),
        (Some(PasswordNotice::Late), "", false),
        (Some(PasswordNotice::Lost), "", false),
    ];
    for (notice, login, others) in notices {
        let page = PasswordPage {
            info: info(given),
            source: given.source,
            post_to: Href::new(given.href),
            flow: given.text,
            return_to: given.text,
            login,
            notice,
            others: others.then(|| Href::new(given.href)),
            for_frame: false,
        };
        pages.push((format!("password-{notice:?}"), page.render(lang)));
    }
    pages
}

/// The pages by which a session goes to another host or into a frame.
fn leading_elsewhere(given: &Given<'_>, lang: Lang) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for for_frame in [false, true] {
        let page = CrossHostPage {
            info: info(given),
            host: given.site,
            who: PersonName {
                name: Some(given.name),
                login: given.login,
            },
            post_to: Href::new(given.href),
            sealed: given.text,
            for_frame,
        };
        pages.push((format!("cross-{for_frame}"), page.render(lang)));
    }
    for failed in [false, true] {
        let page = FramePage {
            info: info(given),
            start: Href::new(given.href),
            place: Href::new(given.href),
            home: given.site,
            post_to: Href::new(given.href),
            script: Href::new(given.href),
            framed_by: &[],
            failed,
        };
        pages.push((format!("frame-{failed}"), page.render(lang)));
    }
    let page = HandOverPage {
        info: info(given),
        to: given.site,
        ticket: given.text,
        place: Href::new(given.href),
        script: Href::new(given.href),
    };
    pages.push(("hand-over".to_owned(), page.render(lang)));
    pages
}

fn info<'a>(given: &Given<'a>) -> PageInfo<'a> {
    PageInfo {
        site: given.site,
        request_id: given.text,
    }
}

fn problem<'a>(given: &Given<'a>, cause: Cause) -> ProblemPage<'a> {
    ProblemPage {
        info: info(given),
        cause,
        source: Some(given.source),
        again: Some(Href::new(given.href)),
        home: Some(Href::new(given.href)),
    }
}

fn wecom() -> Features {
    let config = "corp_id = 'ww1'\nagent_id = 7\nsecret = 'x'";
    toml::from_str::<Config>(config).unwrap().features()
}

/// What the page says about WeCom in a client.
fn said(user_agent: &str) -> (Vec<LocalizedText>, Vec<LocalizedText>) {
    let (above, below) = wecom().hints(user_agent);
    (above.into_iter().collect(), below.into_iter().collect())
}

fn sign_in<'a>(given: &Given<'a>, choices: usize) -> SignInPage<'a> {
    let all = [
        (given.source, wecom().icon, false),
        ("Keycloak", None, true),
        ("GitHub", None, false),
    ];
    let choices = all
        .into_iter()
        .take(choices)
        .map(|(name, icon, last)| ConnectorChoice {
            name,
            icon,
            href: Href::new(given.href),
            last,
        });
    let (notices, hints) = said("");
    SignInPage {
        info: info(given),
        reason: None,
        present: Some(SignedInPerson {
            who: PersonName {
                name: Some(given.name),
                login: given.login,
            },
            go_on: Some(Href::new(given.href)),
        }),
        choices: choices.collect(),
        notices,
        hints,
        by_portal: false,
    }
}
