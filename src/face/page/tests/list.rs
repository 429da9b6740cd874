//! Every page in every state.

use super::*;

mod forms;

/// Every page in every state and both languages, each with a name that begins with that of its template.
pub(super) fn pages(inputs: &Inputs<'_>) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for lang in LANGS {
        let in_lang = [
            problems(inputs, lang),
            sign_in_pages(inputs, lang),
            signed_in_pages(inputs, lang),
            signed_out_pages(inputs, lang),
            forbidden_pages(inputs, lang),
            cross_host_and_frame_pages(inputs, lang),
            forms::pages(inputs, lang),
        ];
        let named = in_lang.into_iter().flatten();
        pages.extend(named.map(|(name, page)| (format!("{name}-{}", lang.tag()), page)));
    }
    pages
}

pub(super) fn info<'a>(inputs: &Inputs<'a>) -> PageInfo<'a> {
    PageInfo {
        host: inputs.host,
        request_id: inputs.request_id,
        pages: match inputs.owner {
            Owner::Menshen => &MENSHENS,
            Owner::Company => &company::COMPANYS,
            Owner::LongCompany => &company::LONG_COMPANYS,
        },
    }
}

fn person<'a>(inputs: &Inputs<'a>) -> PersonName<'a> {
    PersonName {
        name: Some(inputs.name),
        login: inputs.login,
    }
}

/// Every cause with all that a page can show, and the pages with one button.
fn problems(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let page = |cause| ProblemPage {
        info: info(inputs),
        cause,
        connector_name: Some(inputs.connector_name),
        next: Some(Href::new(inputs.href)),
        home_page: Some(Href::new(inputs.href)),
    };
    let mut pages: Vec<_> = Cause::ALL
        .iter()
        .map(|cause| {
            (
                format!("problem-{}", cause.slug()),
                page(*cause).render(lang),
            )
        })
        .collect();
    let only_next = ProblemPage {
        home_page: None,
        ..page(Cause::AccountNotSwitched)
    };
    let only_home_page = ProblemPage {
        connector_name: None,
        next: None,
        ..page(Cause::NotFound)
    };
    pages.push(("problem-only-next".to_owned(), only_next.render(lang)));
    pages.push(("problem-only-home".to_owned(), only_home_page.render(lang)));
    pages
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
pub(super) fn sign_in<'a>(inputs: &Inputs<'a>, choices: usize) -> SignInPage<'a> {
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
        signed_in: Some(person(inputs)),
        choices: choices.collect(),
        notices,
        hints,
        is_portal_only: false,
    }
}

fn sign_in_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let of_nobody = |choices| SignInPage {
        signed_in: None,
        ..sign_in(inputs, choices)
    };
    let (notices, hints) = wecom_hints("MicroMessenger/8.0.50");
    let in_wechat = SignInPage {
        notices,
        hints,
        ..of_nobody(1)
    };
    let nothing_to_choose = SignInPage {
        hints: Vec::new(),
        ..of_nobody(0)
    };
    let portal_only = SignInPage {
        is_portal_only: true,
        ..nothing_to_choose.clone()
    };
    let mut pages = vec![
        ("sign-in-one".to_owned(), of_nobody(1).render(lang)),
        ("sign-in-three".to_owned(), of_nobody(3).render(lang)),
        ("sign-in-none".to_owned(), nothing_to_choose.render(lang)),
        ("sign-in-portal-only".to_owned(), portal_only.render(lang)),
        ("sign-in-wechat".to_owned(), in_wechat.render(lang)),
        (
            "sign-in-signed-in".to_owned(),
            sign_in(inputs, 3).render(lang),
        ),
    ];
    for reason in [
        SignInReason::Expired,
        SignInReason::OtherConnector,
        SignInReason::StepUp,
        SignInReason::SignedOut,
        SignInReason::LoopDetected,
        SignInReason::ProviderSignedOut,
    ] {
        let page = SignInPage {
            reason: Some(reason),
            ..of_nobody(1)
        };
        pages.push((format!("sign-in-{reason:?}"), page.render(lang)));
    }
    pages
}

fn signed_in_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let home = SignedInPage {
        info: info(inputs),
        person: person(inputs),
        continue_to: Some(Href::new(inputs.href)),
        returns: false,
        home_name: Some(inputs.route),
        switch_account: Href::new(inputs.href),
        sign_out: Href::new(inputs.href),
    };
    let returns = SignedInPage {
        returns: true,
        home_name: None,
        ..home.clone()
    };
    let nameless_home = SignedInPage {
        home_name: None,
        ..home.clone()
    };
    let nowhere = SignedInPage {
        continue_to: None,
        ..nameless_home.clone()
    };
    [
        ("signed-in-home", home),
        ("signed-in-returns", returns),
        ("signed-in-nameless-home", nameless_home),
        ("signed-in-nowhere", nowhere),
    ]
    .map(|(name, page)| (name.to_owned(), page.render(lang)))
    .to_vec()
}

fn signed_out_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let here = SignedOutPage {
        info: info(inputs),
        connector_name: None,
        everywhere: false,
        sign_in: Href::new(inputs.href),
    };
    let at_provider = SignedOutPage {
        connector_name: Some(inputs.connector_name),
        ..here.clone()
    };
    let everywhere = SignedOutPage {
        everywhere: true,
        ..at_provider.clone()
    };
    [
        ("signed-out-here", here),
        ("signed-out-at-provider", at_provider),
        ("signed-out-everywhere", everywhere),
    ]
    .map(|(name, page)| (name.to_owned(), page.render(lang)))
    .to_vec()
}

fn forbidden_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let page = ForbiddenPage {
        info: info(inputs),
        route: inputs.route,
        person: person(inputs),
        switch_account: Href::new(inputs.href),
        back: Some(Href::new(inputs.href)),
    };
    let no_way_back = ForbiddenPage {
        person: PersonName {
            name: None,
            login: inputs.login,
        },
        back: None,
        ..page.clone()
    };
    vec![
        ("forbidden".to_owned(), page.render(lang)),
        ("forbidden-no-way-back".to_owned(), no_way_back.render(lang)),
    ]
}

fn cross_host_and_frame_pages(inputs: &Inputs<'_>, lang: Lang) -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    for opened_by_frame in [false, true] {
        let page = CrossHostPage {
            info: info(inputs),
            host: inputs.host,
            person: person(inputs),
            post_to: Href::new(inputs.href),
            sealed_consent: inputs.request_id,
            opened_by_frame,
        };
        pages.push((format!("cross-host-{opened_by_frame}"), page.render(lang)));
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
    let hand_over = HandOverPage {
        info: info(inputs),
        frame_origin: inputs.host,
        ticket: inputs.request_id,
        return_to: Href::new(inputs.href),
        script: Href::new(inputs.href),
    };
    let fragment = FragmentPage {
        info: info(inputs),
        start_url: Href::new(inputs.href),
        script: Href::new(inputs.href),
    };
    pages.push(("hand-over".to_owned(), hand_over.render(lang)));
    pages.push(("fragment".to_owned(), fragment.render(lang)));
    pages
}
