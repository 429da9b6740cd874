//! What a route demands of a session, and when its source must confirm the person.

use std::time::Duration;

use http::Request;
use http::request::Parts;

use super::*;
use crate::expression::Document;
use crate::people::profile::UserFields;
use crate::people::session::Session;
use crate::request::fixture::{self, anonymous, rule};
use crate::request::head::{Connection, ParseOptions, Peer, PrivateUpstreamConnections, Trust};
use crate::request::route::{Demands, Reconfirmation};

/// When the session of the fixture began.
const MINTED_S: i64 = 1_700_000_000;

fn route_demanding(demands: Demands) -> Route {
    Route {
        access: Access::SignedIn,
        demands: Some(Box::new(demands)),
        ..fixture::route()
    }
}

fn route_with_acr_values() -> Route {
    route_demanding(Demands {
        acr_values: vec!["gold".to_owned(), "silver".to_owned()],
        ..Demands::default()
    })
}

fn route_with_max_age() -> Route {
    route_demanding(Demands {
        max_age: Some(Duration::from_secs(600)),
        ..Demands::default()
    })
}

fn route_with_reconfirmation(embedded: bool) -> Route {
    route_demanding(Demands {
        reconfirmation: Some(Reconfirmation {
            embedded,
            only_via: None,
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
        vouched_until: None,
    }
}

/// 张三 with this authentication.
fn zhang_with(auth_context: AuthContext) -> Caller {
    let Caller::Person(person) = fixture::person("zhangsan", UserFields::default()) else {
        panic!("the fixture is a person");
    };
    let fixture = &person.session;
    let session = Session {
        public_id: fixture.public_id,
        key: fixture.key,
        account: fixture.account,
        login: fixture.login.clone(),
        via: fixture.via.clone(),
        subject: fixture.subject.clone(),
        provider_sid: None,
        auth_context,
        amr: fixture.amr.clone(),
        minted_at: fixture.minted_at,
        expires_at: fixture.expires_at,
    };
    Caller::Person(Person {
        session: Arc::new(session),
        ..person
    })
}

/// A request for a top-level page.
fn page_request() -> Parts {
    let request = Request::get("/x")
        .header("Host", "oa.corp.example")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    request.body(()).unwrap().into_parts().0
}

/// A request for a page in a frame.
fn frame_request() -> Parts {
    let mut parts = page_request();
    let value = http::HeaderValue::from_static("iframe");
    parts.headers.insert("sec-fetch-dest", value);
    parts
}

/// The verdict on a request this long after the session began.
fn verdict_on(route: Route, caller: Caller, parts: &Parts, age_s: i64) -> Verdict {
    let connection = Connection {
        peer: Peer::Ip([10, 0, 0, 9].into()),
        tls: true,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    };
    let trust = Trust::default();
    let now = Timestamp::from_unix_s(MINTED_S + age_s);
    let parse_options = ParseOptions {
        trust: &trust,
        external_url: &"https://sso.test".parse().unwrap(),
        session_cookie_name: "menshen",
        ring: &fixture::ring(),
    };
    let head = Head::parse(parts, &connection, parse_options, now).unwrap();
    judge(&Arc::new(route), caller, &head)
}

/// The kind of a verdict, with the reason of a login.
fn summary(verdict: &Verdict) -> String {
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
        let verdict = verdict_on(
            route_with_acr_values(),
            zhang_with(auth_context(acr, None)),
            &page_request(),
            1,
        );
        assert_eq!(summary(&verdict), expected, "{acr:?}");
    }
    assert_eq!(
        summary(&verdict_on(
            route_with_acr_values(),
            anonymous(),
            &page_request(),
            1
        )),
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
        let verdict = verdict_on(
            route_with_max_age(),
            zhang_with(auth_context(None, auth_time)),
            &page_request(),
            age,
        );
        assert_eq!(summary(&verdict), expected, "{auth_time:?} {age}");
    }
}

#[test]
fn a_weak_session_is_anonymous_to_a_rule_and_needs_step_up() {
    let route_with_rule = |allow: &str| Route {
        access: Access::Rule,
        allow: Some(rule(allow)),
        ..route_with_acr_values()
    };
    let weak = || zhang_with(auth_context(None, None));
    let strong = || zhang_with(auth_context(Some("gold"), None));
    let is_zhang = "user != null && user.login == 'zhangsan'";
    for (allow, caller, expected) in [
        (is_zhang, strong(), "allow"),
        (is_zhang, weak(), "StepUp"),
        ("user != null && user.login == 'lisi'", strong(), "deny"),
        ("true", weak(), "allow"),
    ] {
        assert_eq!(
            summary(&verdict_on(
                route_with_rule(allow),
                caller,
                &page_request(),
                1
            )),
            expected,
            "{allow}"
        );
    }
    let Verdict::Allow(permit) = verdict_on(route_with_rule("true"), weak(), &page_request(), 1)
    else {
        panic!("the rule is true for everybody");
    };
    assert!(matches!(
        permit.caller(),
        Caller::Anonymous(LoginReason::StepUp)
    ));
    let public = Route {
        access: Access::Public,
        ..route_with_acr_values()
    };
    assert_eq!(
        summary(&verdict_on(public, weak(), &page_request(), 1)),
        "allow"
    );
}

#[test]
fn the_claims_of_a_token_must_meet_the_demands_and_never_lead_to_a_login() {
    let program = |auth_context| {
        Caller::Program(Arc::new(VerifiedToken {
            issuer: "corp".to_owned().try_into().unwrap(),
            subject: "ci".parse().unwrap(),
            scopes: Vec::new(),
            claims: Document::from(&serde_json::json!({})),
            auth_context,
            expires_at: None,
            holder: None,
        }))
    };
    for (route, auth_context, expected) in [
        (
            route_with_acr_values(),
            auth_context(Some("gold"), None),
            "allow",
        ),
        (
            route_with_acr_values(),
            auth_context(None, None),
            "weak token",
        ),
        (
            route_with_max_age(),
            auth_context(None, Some(MINTED_S)),
            "allow",
        ),
        (
            route_with_max_age(),
            auth_context(None, Some(MINTED_S - 600)),
            "weak token",
        ),
        // Without an authentication time it cannot be recent.
        (route_with_max_age(), auth_context(None, None), "weak token"),
        (
            route_with_reconfirmation(false),
            auth_context(None, None),
            "allow",
        ),
    ] {
        let verdict = verdict_on(route, program(auth_context.clone()), &page_request(), 31);
        assert_eq!(summary(&verdict), expected, "{auth_context:?}");
    }
}

#[test]
fn a_confirmation_is_due_only_for_an_allowed_page_load() {
    let verdict_for = |embedded, parts: &Parts, age| {
        let verdict = verdict_on(
            route_with_reconfirmation(embedded),
            zhang_with(auth_context(None, None)),
            parts,
            age,
        );
        summary(&verdict)
    };
    assert_eq!(verdict_for(false, &page_request(), 29), "allow");
    assert_eq!(verdict_for(false, &page_request(), 30), "reconfirm");
    assert_eq!(verdict_for(false, &frame_request(), 30), "allow");
    assert_eq!(verdict_for(true, &frame_request(), 30), "reconfirm");
    assert_eq!(verdict_for(true, &page_request(), 30), "allow");
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
            let mut parts = if embedded {
                frame_request()
            } else {
                page_request()
            };
            edit(&mut parts);
            assert_eq!(verdict_for(embedded, &parts, 30), "allow", "{parts:?}");
        }
    }
    // A person who is denied is not sent to the source first.
    let forbidden = Route {
        allow: Some(rule("user.login == 'lisi'")),
        ..route_with_reconfirmation(false)
    };
    let verdict = verdict_on(
        forbidden,
        zhang_with(auth_context(None, None)),
        &page_request(),
        30,
    );
    assert_eq!(summary(&verdict), "deny");
    assert_eq!(
        summary(&verdict_on(
            route_with_reconfirmation(false),
            anonymous(),
            &page_request(),
            30
        )),
        "NotSignedIn"
    );
}
