//! The pages with forms.

use super::*;

pub(super) fn pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let mut pages = vec![
        ("link".to_owned(), link(inputs).render(lang)),
        ("app-login".to_owned(), app_login(inputs).render(lang)),
        ("switch".to_owned(), switch(inputs).render(lang)),
    ];
    pages.extend(post_pages(inputs, lang));
    pages.extend(password_pages(inputs, lang));
    pages.extend(password_change_pages(inputs, lang));
    pages.extend(token_pages(inputs, lang));
    pages
}

/// A person of whom no display name is known.
fn nameless<'a>(inputs: &Inputs<'a>) -> PersonName<'a> {
    PersonName {
        name: None,
        login: inputs.login,
    }
}

fn link<'a>(inputs: &Inputs<'a>) -> LinkPage<'a> {
    LinkPage {
        info: info(inputs),
        connector_name: inputs.connector_name,
        current: person(inputs),
        identity: nameless(inputs),
        post_to: Href::new(inputs.href),
        flow: inputs.request_id,
        cancel: Href::new(inputs.href),
    }
}

fn switch<'a>(inputs: &Inputs<'a>) -> SwitchPage<'a> {
    SwitchPage {
        info: info(inputs),
        current: person(inputs),
        new_person: nameless(inputs),
        post_to: Href::new(inputs.href),
        flow: inputs.request_id,
        account: "7",
        keep_current: Href::new(inputs.href),
    }
}

fn app_login<'a>(inputs: &Inputs<'a>) -> AppLoginPage<'a> {
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

fn post_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let sign_in = PostPage {
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
    let sign_out = PostPage {
        purpose: PostPurpose::SignOut,
        ..sign_in.clone()
    };
    vec![
        ("post".to_owned(), sign_in.render(lang)),
        ("post-sign-out".to_owned(), sign_out.render(lang)),
    ]
}

fn password_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let notices = [
        (None, "", false),
        (Some(PasswordNotice::WrongPassword), inputs.login, true),
        (Some(PasswordNotice::Expired), "", false),
        (Some(PasswordNotice::Incomplete), "", false),
    ];
    let pages = notices.map(|(notice, login, has_others)| {
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
        (format!("password-{notice:?}"), page.render(lang))
    });
    pages.to_vec()
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

fn token_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let page = TokensPage {
        info: info(inputs),
        person: person(inputs),
        account: "7",
        notice: None,
        new_token: None,
        tokens: Vec::new(),
        routes: vec![inputs.route, "svn"],
        lifetimes: [1_800, 30 * 86_400, 365 * 86_400]
            .map(LifetimeChoice::of)
            .to_vec(),
        sign_in_again: None,
        name_chars_max: 80,
        post_to: Href::new(inputs.href),
    };
    let routes = [inputs.route.to_owned(), "svn".to_owned()];
    let token = |id: &str, routes, last_used: Option<&str>| ListedToken {
        id: id.to_owned(),
        name: inputs.name,
        routes,
        created: "2026-11-29 15:40 UTC".to_owned(),
        expires: "2027-11-29 15:40 UTC".to_owned(),
        last_used: last_used.map(str::to_owned),
    };
    let listed = TokensPage {
        tokens: vec![
            token("k3v9", None, Some("2026-11-30 08:02 UTC")),
            token("p7xq", Some(&routes), None),
        ],
        ..page.clone()
    };
    let made = TokensPage {
        new_token: Some(NewToken {
            name: inputs.name,
            value: "mst_k3v9wq0a7b2c5d8e1f4g6h9j3m5n8p1q4r7s0t2v5w8x1y4z6",
        }),
        ..page.clone()
    };
    let too_old = TokensPage {
        sign_in_again: Some(Href::new(inputs.href)),
        ..listed.clone()
    };
    let mut pages = vec![
        ("tokens-none".to_owned(), page.render(lang)),
        ("tokens-listed".to_owned(), listed.render(lang)),
        ("tokens-made".to_owned(), made.render(lang)),
        ("tokens-signed-in-long-ago".to_owned(), too_old.render(lang)),
    ];
    for notice in [
        TokenNotice::Ended,
        TokenNotice::Gone,
        TokenNotice::TooMany,
        TokenNotice::BadName,
        TokenNotice::BadChoice,
        TokenNotice::OtherAccount,
    ] {
        let page = TokensPage {
            notice: Some(notice),
            ..listed.clone()
        };
        pages.push((format!("tokens-{notice:?}"), page.render(lang)));
    }
    pages
}
