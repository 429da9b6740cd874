//! What a route demands of a session, and when its source must confirm the person.

use std::time::Duration;

use http::Request;
use http::request::Parts;

use super::*;
use crate::expression::Document;
use crate::people::profile::UserFields;
use crate::people::session::Session;
use crate::request::fixture::{self, anonymous, rule};
use crate::request::head::{Connection, ConnectionExtension, ParseOptions, Peer, Trust};
use crate::request::route::{Demands, Reconfirmation};

/// When the session of the fixture began.
const MINTED_S: i64 = 1_700_000_000;

fn demanding(demands: Demands) -> Route {
    Route {
        access: Access::SignedIn,
        demands: Some(Box::new(demands)),
        ..fixture::route()
    }
}

fn golden() -> Route {
    demanding(Demands {
        acr_values: vec!["gold".to_owned(), "silver".to_owned()],
        ..Demands::default()
    })
}

fn fresh() -> Route {
    demanding(Demands {
        max_age: Some(Duration::from_secs(600)),
        ..Demands::default()
    })
}

fn reloading(embedded: bool) -> Route {
    demanding(Demands {
        reconfirmation: Some(Reconfirmation {
            embedded,
            after: Duration::from_secs(30),
        }),
        ..Demands::default()
    })
}

fn auth_context(acr: Option<&str>, auth_time_s: Option<i64>) -> AuthContext {
    AuthContext {
        acr: acr.map(str::to_owned),
        amr: Vec::new(),
        auth_time: auth_time_s.map(Timestamp::from_unix_s),
    }
}

/// 张三 with this authentication.
fn proved(auth_context: AuthContext) -> Caller {
    let Caller::Person(person) = fixture::person("zhangsan", UserFields::default()) else {
        panic!("the fixture is a person");
    };
    let old = &person.session;
    let session = Session {
        public_id: old.public_id,
        key: old.key,
        account: old.account,
        login: old.login.clone(),
        via: old.via.clone(),
        subject: old.subject.clone(),
        provider_sid: None,
        auth_context,
        amr: old.amr.clone(),
        minted_at: old.minted_at,
        expires_at: old.expires_at,
    };
    Caller::Person(Person {
        session: Arc::new(session),
        ..person
    })
}

fn window() -> Parts {
    let request = Request::get("/x")
        .header("Host", "oa.corp.example")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    request.body(()).unwrap().into_parts().0
}

fn frame() -> Parts {
    let mut parts = window();
    let value = http::HeaderValue::from_static("iframe");
    parts.headers.insert("sec-fetch-dest", value);
    parts
}

fn judged(route: Route, caller: Caller, parts: &Parts, age_s: i64) -> Verdict {
    let connection = Connection {
        peer: Peer::Ip([10, 0, 0, 9].into()),
        tls: true,
        server_name: None,
        tls_subject: None,
        extension: ConnectionExtension::default(),
    };
    let trust = Trust::default();
    let at = Timestamp::from_unix_s(MINTED_S + age_s);
    let parse_options = ParseOptions {
        trust: &trust,
        external_url: &"https://sso.test".parse().unwrap(),
        session_cookie_name: "menshen",
        ring: &fixture::ring(),
    };
    let head = Head::parse(parts, &connection, parse_options, at).unwrap();
    judge(&Arc::new(route), caller, &head)
}

/// `allow`, or the reason against it.
fn says(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Reconfirm(_) => "reconfirm".to_owned(),
        Verdict::Login(needed) => format!("{:?}", needed.why),
        Verdict::Deny(Denial::WeakToken { .. }) => "weak token".to_owned(),
        Verdict::Deny(_) => "deny".to_owned(),
    }
}

#[test]
fn only_the_acr_values_of_the_route_are_accepted() {
    for (acr, expected) in [
        (Some("gold"), "allow"),
        (Some("silver"), "allow"),
        (Some("bronze"), "StepUp"),
        (Some("Gold"), "StepUp"),
        (Some("gold silver"), "StepUp"),
        (Some(""), "StepUp"),
        (None, "StepUp"),
    ] {
        let verdict = judged(golden(), proved(auth_context(acr, None)), &window(), 1);
        assert_eq!(says(&verdict), expected, "{acr:?}");
    }
    assert_eq!(
        says(&judged(golden(), anonymous(), &window(), 1)),
        "NotSignedIn"
    );
}

#[test]
fn max_age_counts_from_auth_time_or_from_the_login() {
    for (auth_time, age, expected) in [
        (None, 600, "allow"),
        (None, 601, "StepUp"),
        (Some(MINTED_S - 590), 10, "allow"),
        (Some(MINTED_S - 590), 11, "StepUp"),
        // The source's clock may be ahead of this one.
        (Some(MINTED_S + 60), 600, "allow"),
    ] {
        let verdict = judged(
            fresh(),
            proved(auth_context(None, auth_time)),
            &window(),
            age,
        );
        assert_eq!(says(&verdict), expected, "{auth_time:?} {age}");
    }
}

#[test]
fn a_weak_session_is_anonymous_to_a_rule_and_needs_step_up() {
    let ruled = |allow: &str| Route {
        access: Access::Rule,
        allow: Some(rule(allow)),
        ..golden()
    };
    let weak = || proved(auth_context(None, None));
    let strong = || proved(auth_context(Some("gold"), None));
    let is_zhang = "user != null && user.login == 'zhangsan'";
    for (allow, caller, expected) in [
        (is_zhang, strong(), "allow"),
        (is_zhang, weak(), "StepUp"),
        ("user != null && user.login == 'lisi'", strong(), "deny"),
        ("true", weak(), "allow"),
    ] {
        assert_eq!(
            says(&judged(ruled(allow), caller, &window(), 1)),
            expected,
            "{allow}"
        );
    }
    let Verdict::Allow(permit) = judged(ruled("true"), weak(), &window(), 1) else {
        panic!("the rule is true for everybody");
    };
    assert!(matches!(
        permit.caller(),
        Caller::Anonymous(LoginReason::StepUp)
    ));
    let public = Route {
        access: Access::Public,
        ..golden()
    };
    assert_eq!(says(&judged(public, weak(), &window(), 1)), "allow");
}

#[test]
fn demands_apply_to_the_claims_of_a_token_which_never_needs_a_login() {
    let program = |auth_context| {
        Caller::Program(Arc::new(Program {
            issuer: "corp".to_owned().try_into().unwrap(),
            subject: "ci".parse().unwrap(),
            scopes: Vec::new(),
            claims: Document::from(&serde_json::json!({})),
            auth_context,
            ends_at: None,
            holder: None,
        }))
    };
    for (route, auth_context, expected) in [
        (golden(), auth_context(Some("gold"), None), "allow"),
        (golden(), auth_context(None, None), "weak token"),
        (fresh(), auth_context(None, Some(MINTED_S)), "allow"),
        (
            fresh(),
            auth_context(None, Some(MINTED_S - 600)),
            "weak token",
        ),
        // Without an authentication time it cannot be recent.
        (fresh(), auth_context(None, None), "weak token"),
        (reloading(false), auth_context(None, None), "allow"),
    ] {
        let verdict = judged(route, program(auth_context.clone()), &window(), 31);
        assert_eq!(says(&verdict), expected, "{auth_context:?}");
    }
}

#[test]
fn a_due_confirmation_keeps_the_permit() {
    let asks = |embedded, parts: &Parts, age| {
        let verdict = judged(
            reloading(embedded),
            proved(auth_context(None, None)),
            parts,
            age,
        );
        says(&verdict)
    };
    assert_eq!(asks(false, &window(), 29), "allow");
    assert_eq!(asks(false, &window(), 30), "reconfirm");
    assert_eq!(asks(false, &frame(), 30), "allow");
    assert_eq!(asks(true, &frame(), 30), "reconfirm");
    assert_eq!(asks(true, &window(), 30), "allow");
    for edit in [
        |parts: &mut Parts| parts.method = http::Method::POST,
        |parts: &mut Parts| parts.method = http::Method::HEAD,
        |parts: &mut Parts| {
            let value = http::HeaderValue::from_static("cors");
            parts.headers.insert("sec-fetch-mode", value);
        },
        |parts: &mut Parts| {
            let value = http::HeaderValue::from_static("prefetch");
            parts.headers.insert("sec-purpose", value);
        },
    ] {
        for embedded in [false, true] {
            let mut parts = if embedded { frame() } else { window() };
            edit(&mut parts);
            assert_eq!(asks(embedded, &parts, 30), "allow", "{parts:?}");
        }
    }
    // A person who is denied is not sent to the source first.
    let forbidden = Route {
        allow: Some(rule("user.login == 'lisi'")),
        ..reloading(false)
    };
    let verdict = judged(forbidden, proved(auth_context(None, None)), &window(), 30);
    assert_eq!(says(&verdict), "deny");
    assert_eq!(
        says(&judged(reloading(false), anonymous(), &window(), 30)),
        "NotSignedIn"
    );
}
