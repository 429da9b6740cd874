//! Tests over all pages.

use std::path::Path;
use std::sync::LazyLock;

use super::*;
use crate::login::connector::{Features, Kind as _, LocalizedText, wecom::Config};

mod company;

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
        let is_wrong = ["problem-", "forbidden", "sign-in-LoopDetected"]
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
        assert!(policy.starts_with("default-src 'none';"), "{name}");
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

/// Writes all pages to a folder: `MENSHEN_PAGES=/tmp/pages cargo test face::page`.
#[test]
fn pages_are_written_to_files_for_review() {
    let Some(directory) = std::env::var_os("MENSHEN_PAGES") else {
        return;
    };
    std::fs::create_dir_all(&directory).unwrap();
    for (owner, inputs) in [("menshen", PLAIN), ("company", company::inputs())] {
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

/// Every page in both languages, each with a name.
fn pages(inputs: &Inputs<'_>) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for lang in LANGS {
        let tag = lang.tag();
        let mut add = |name: &str, page: Page| pages.push((format!("{name}-{tag}"), page));
        for cause in Cause::ALL {
            add(
                &format!("problem-{}", cause.slug()),
                problem(inputs, cause).render(lang),
            );
        }
        let mut one_choice = sign_in(inputs, 1);
        one_choice.signed_in = None;
        add("sign-in-one", one_choice.render(lang));
        for reason in [
            SignInReason::Expired,
            SignInReason::OtherConnector,
            SignInReason::StepUp,
            SignInReason::SignedOut,
            SignInReason::LoopDetected,
        ] {
            one_choice.reason = Some(reason);
            add(&format!("sign-in-{reason:?}"), one_choice.render(lang));
        }
        for returns in [false, true] {
            let page = signed_in(inputs, returns);
            add(&format!("signed-in-{returns}"), page.render(lang));
        }
        (one_choice.notices, one_choice.hints) = wecom_hints("MicroMessenger/8.0.50");
        one_choice.reason = None;
        add("sign-in-wechat", one_choice.render(lang));
        add("sign-in-signed-in", sign_in(inputs, 3).render(lang));
        let mut three_choices = sign_in(inputs, 3);
        three_choices.signed_in = None;
        add("sign-in-three", three_choices.render(lang));
        for everywhere in [false, true] {
            let page = SignedOutPage {
                info: info(inputs),
                connector_name: Some(inputs.connector_name),
                everywhere,
                sign_in: Href::new(inputs.href),
            };
            add(&format!("signed-out-{everywhere}"), page.render(lang));
        }
        let page = ForbiddenPage {
            info: info(inputs),
            route: inputs.route,
            person: PersonName {
                name: Some(inputs.name),
                login: inputs.login,
            },
            switch_account: Href::new(inputs.href),
            back: Some(Href::new(inputs.href)),
        };
        add("forbidden", page.render(lang));
        for (name, page) in cross_host_and_frame_pages(inputs, lang) {
            add(&name, page);
        }
        let page = FragmentPage {
            info: info(inputs),
            start_url: Href::new(inputs.href),
            script: Href::new(inputs.href),
        };
        add("fragment", page.render(lang));
        for (name, page) in form_pages(inputs, lang) {
            add(&name, page);
        }
    }
    pages
}

fn form_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let post = PostPage {
        purpose: PostPurpose::SignIn,
        info: info(inputs),
        connector_name: inputs.connector_name,
        to: Href::new(inputs.href),
        fields: vec![
            ("SAMLRequest", inputs.request_id),
            (inputs.name, inputs.login),
        ],
        script: Href::new(inputs.href),
    };
    let post_sign_out = PostPage {
        purpose: PostPurpose::SignOut,
        ..post.clone()
    };
    let person = |name, login| PersonName { name, login };
    let switch = SwitchPage {
        info: info(inputs),
        current: person(Some(inputs.name), inputs.login),
        new_person: person(None, inputs.login),
        post_to: Href::new(inputs.href),
        flow: inputs.request_id,
        account: "7",
        keep_current: Href::new(inputs.href),
    };
    let link = LinkPage {
        info: info(inputs),
        connector_name: inputs.connector_name,
        current: person(Some(inputs.name), inputs.login),
        identity: person(None, inputs.login),
        post_to: Href::new(inputs.href),
        flow: inputs.request_id,
        cancel: Href::new(inputs.href),
    };
    let mut pages = vec![
        ("link".to_owned(), link.render(lang)),
        ("post".to_owned(), post.render(lang)),
        ("post-sign-out".to_owned(), post_sign_out.render(lang)),
        ("app-login".to_owned(), app_login_page(inputs).render(lang)),
        ("switch".to_owned(), switch.render(lang)),
    ];
    let notices = [
        (None, "", false),
        (Some(PasswordNotice::WrongPassword), inputs.login, true),
        (Some(PasswordNotice::Expired), "", false),
        (Some(PasswordNotice::Incomplete), "", false),
    ];
    for (notice, login, has_others) in notices {
        let page = PasswordPage {
            info: info(inputs),
            connector_name: inputs.connector_name,
            post_to: Href::new(inputs.href),
            flow: inputs.request_id,
            return_to: inputs.request_id,
            login,
            notice,
            other_connectors: has_others.then(|| Href::new(inputs.href)),
            opened_by_frame: false,
        };
        pages.push((format!("password-{notice:?}"), page.render(lang)));
    }
    pages.extend(password_change_pages(inputs, lang));
    pages
}

fn app_login_page<'a>(inputs: &Inputs<'a>) -> AppLoginPage<'a> {
    AppLoginPage {
        info: info(inputs),
        connector_name: inputs.connector_name,
        login_url: Href::new(inputs.href),
        state: inputs.request_id,
        data: vec![("corp-id", inputs.name)],
        client_script: Href::new(inputs.href),
        client_script_is_foreign: true,
        script: Href::new(inputs.href),
        web_url: Href::new(inputs.href),
    }
}

fn password_change_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    use PasswordChangeNotice as Notice;
    let notices = [
        None,
        Some(Notice::Demanded),
        Some(Notice::WrongPassword),
        Some(Notice::Differ),
        Some(Notice::Same),
        Some(Notice::TooShort),
        Some(Notice::TooLong),
        Some(Notice::NotOneLine),
        Some(Notice::Expired),
        Some(Notice::Incomplete),
    ];
    let pages = notices.map(|notice| {
        let page = PasswordChangePage {
            info: info(inputs),
            login: inputs.login,
            post_to: Href::new(inputs.href),
            flow: inputs.request_id,
            notice,
        };
        (format!("password-change-{notice:?}"), page.render(lang))
    });
    pages.to_vec()
}

fn cross_host_and_frame_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for opened_by_frame in [false, true] {
        let page = CrossHostPage {
            info: info(inputs),
            host: inputs.host,
            person: PersonName {
                name: Some(inputs.name),
                login: inputs.login,
            },
            post_to: Href::new(inputs.href),
            sealed_consent: inputs.request_id,
            opened_by_frame,
        };
        pages.push((format!("cross-{opened_by_frame}"), page.render(lang)));
    }
    for ticket_was_refused in [false, true] {
        let page = FramePage {
            info: info(inputs),
            start_url: Href::new(inputs.href),
            return_to: Href::new(inputs.href),
            login_origin: inputs.host,
            post_to: Href::new(inputs.href),
            script: Href::new(inputs.href),
            allowed_framers: &[],
            ticket_was_refused,
        };
        pages.push((format!("frame-{ticket_was_refused}"), page.render(lang)));
    }
    let page = HandOverPage {
        info: info(inputs),
        frame_origin: inputs.host,
        ticket: inputs.request_id,
        return_to: Href::new(inputs.href),
        script: Href::new(inputs.href),
    };
    pages.push(("hand-over".to_owned(), page.render(lang)));
    pages
}

fn info<'a>(inputs: &Inputs<'a>) -> PageInfo<'a> {
    PageInfo {
        host: inputs.host,
        request_id: inputs.request_id,
        pages: match inputs.owner {
            Owner::Menshen => &MENSHENS,
            Owner::Company => &company::COMPANYS,
        },
    }
}

fn problem<'a>(inputs: &Inputs<'a>, cause: Cause) -> ProblemPage<'a> {
    ProblemPage {
        info: info(inputs),
        cause,
        connector_name: Some(inputs.connector_name),
        next: Some(Href::new(inputs.href)),
        home_page: Some(Href::new(inputs.href)),
    }
}

fn wecom() -> Features {
    let config = "corp_id = 'ww1'\nagent_id = 7\nsecret = 'x'";
    toml::from_str::<Config>(config).unwrap().features()
}

/// The notices and hints about WeCom for a user agent.
fn wecom_hints(user_agent: &str) -> (Vec<LocalizedText>, Vec<LocalizedText>) {
    let (above, below) = wecom().hints(user_agent);
    (above.into_iter().collect(), below.into_iter().collect())
}

/// The sign-in page of a signed-in person, with this number of connectors.
fn sign_in<'a>(inputs: &Inputs<'a>, choices: usize) -> SignInPage<'a> {
    let all = [
        (inputs.connector_name, wecom().icon, false),
        ("Keycloak", None, true),
        ("GitHub", None, false),
    ];
    let choices = all
        .into_iter()
        .take(choices)
        .map(|(name, icon, is_last_used)| ConnectorChoice {
            name,
            icon,
            href: Href::new(inputs.href),
            is_last_used,
        });
    let (notices, hints) = wecom_hints("");
    SignInPage {
        info: info(inputs),
        reason: None,
        signed_in: Some(PersonName {
            name: Some(inputs.name),
            login: inputs.login,
        }),
        choices: choices.collect(),
        notices,
        hints,
        is_portal_only: false,
    }
}

fn signed_in<'a>(inputs: &Inputs<'a>, returns: bool) -> SignedInPage<'a> {
    SignedInPage {
        info: info(inputs),
        person: PersonName {
            name: Some(inputs.name),
            login: inputs.login,
        },
        continue_to: Some(Href::new(inputs.href)),
        returns,
        home_name: (!returns).then_some(inputs.route),
        switch_account: Href::new(inputs.href),
        sign_out: Href::new(inputs.href),
    }
}
