//! A whole login, and what it makes of the facts in an assertion.

use serde_json::json;

use super::idp::{ASSERTION_ONLY, BOTH, Idp, Person, RESPONSE_ONLY, Signed, UNSIGNED};
use super::response::{EMAIL, NameId, PERSISTENT, TRANSIENT, saml_attribute};
use super::{
    Attempt, HTTPS, assert_refused, assert_signed_in, setup, setup_with, sign_in, start_menshen,
};
use menshen::face::page::Cause;

/// 张三 with all fields that the default mapping knows.
fn person_with_attributes() -> Person {
    let attributes = [
        saml_attribute("uid", None, &["zhangsan"]),
        saml_attribute("mail", None, &["z@corp.example", "second@corp.example"]),
        saml_attribute("displayName", None, &["张三"]),
        // Keycloak sends an attribute for each value.
        saml_attribute("groups", None, &["ops"]),
        saml_attribute("groups", None, &["财务部"]),
    ];
    Person {
        attributes: attributes.concat(),
        ..Person::named("zhangsan")
    }
}

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_attributes() {
    let idp = Idp::start().await;
    idp.state().person = person_with_attributes();
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "attributes");
    for (header, value) in [
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
        ("x-forwarded-groups", "ops,%E8%B4%A2%E5%8A%A1%E9%83%A8"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{HTTPS}/.menshen/userinfo")).await;
    assert_eq!(info.json()["connector"], "idp");
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["subject"]),
        (&json!("login"), &json!("p-zhangsan"))
    );
    // No URL of menshen ever held a response.
    let urls = browser.visited.iter().filter(|url| url.starts_with(HTTPS));
    assert!(urls.clone().count() > 2);
    assert!(urls.into_iter().all(|url| !url.contains("SAMLResponse")));
    let has_pending = |name: &str| name.contains("flow");
    assert!(
        !browser
            .cookies()
            .iter()
            .any(|cookie| has_pending(&cookie.name))
    );
}

#[tokio::test]
async fn the_usual_names_of_attributes_are_known() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims";
    for (uid, mail, name, group) in [
        ("uid", "mail", "displayName", "groups"),
        (
            "urn:oid:0.9.2342.19200300.100.1.1",
            "urn:oid:0.9.2342.19200300.100.1.3",
            "urn:oid:2.16.840.1.113730.3.1.241",
            "memberOf",
        ),
        ("uid", &format!("{claims}/emailaddress"), "cn", "Role"),
        (
            "uid",
            "mail",
            "displayName",
            "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
        ),
    ] {
        let attributes = [
            saml_attribute(uid, None, &["zhangsan"]),
            saml_attribute(mail, None, &["z@corp.example"]),
            saml_attribute(name, None, &["张三"]),
            saml_attribute(group, None, &["ops", "dev"]),
        ];
        idp.state().person.attributes = attributes.concat();
        let (_, page) = sign_in(&menshen, &idp).await;
        assert_signed_in(&page, "zhangsan", uid);
        for (header, value) in [
            ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
            ("x-forwarded-email", "z@corp.example"),
            ("x-forwarded-groups", "ops,dev"),
        ] {
            assert_eq!(
                page.answer.echoed(header),
                [value],
                "{mail} {group} {header}"
            );
        }
    }
}

#[tokio::test]
async fn the_login_is_the_name_id_unless_it_is_persistent() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (format, name) in [
        (Some(EMAIL), "zhangsan@corp.example"),
        (
            Some("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
            "zhangsan",
        ),
        (None, "wangwu"),
    ] {
        idp.state().person = Person {
            name_id: NameId {
                qualifiers: "",
                format,
                xml: name.to_owned(),
            },
            attributes: String::new(),
            ..Person::named("nobody")
        };
        let (_, page) = sign_in(&menshen, &idp).await;
        assert_signed_in(&page, name, "a NameID");
    }
    // A persistent NameID is made for one service and means nothing to applications.
    idp.state().person.name_id.format = Some(PERSISTENT);
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_refused(
        &menshen,
        &page,
        Cause::NoLoginName,
        "the profile has no login",
        "persistent",
    );
}

#[tokio::test]
async fn a_transient_or_missing_name_id_is_no_subject_without_an_expression() {
    let idp = Idp::start().await;
    let number = "[connector.idp.mapping]\nlogin = 'profile.attributes.uid[0]'";
    let strict = start_menshen(&idp, "").await;
    let subject = format!("subject = 'profile.attributes.employeeNumber[0]'\n{number}");
    let lenient = start_menshen(&idp, &subject).await;
    let attributes = [
        saml_attribute("uid", None, &["zhangsan"]),
        saml_attribute("employeeNumber", None, &["7"]),
    ];
    idp.state().person.attributes = attributes.concat();
    type Edit = fn(&mut super::SamlResponse);
    let transient: Edit = |response| {
        let name_id = response.assertion.name_id.as_mut().unwrap();
        name_id.format = Some(TRANSIENT);
        name_id.xml = super::response::new_id();
    };
    let missing: Edit = |response| response.assertion.name_id = None;
    let empty: Edit = |response| {
        response.assertion.name_id.as_mut().unwrap().xml.clear();
    };
    let invalid = Cause::InvalidProviderResponse;
    for (what, edit) in [
        ("transient", transient),
        ("missing", missing),
        ("empty", empty),
    ] {
        idp.state().edit = Some(edit);
        let (_, page) = sign_in(&strict, &idp).await;
        assert_refused(&strict, &page, invalid, "names no subject", what);
        let (_, page) = sign_in(&lenient, &idp).await;
        assert_signed_in(&page, "zhangsan", what);
        assert_eq!(lenient.audit().pop().unwrap()["subject"], "7");
    }
    idp.state().edit = None;
    // The expression must give a text.
    idp.state().person.attributes = saml_attribute("uid", None, &["zhangsan"]);
    let (_, page) = sign_in(&lenient, &idp).await;
    assert_refused(
        &lenient,
        &page,
        invalid,
        "`subject` has no value",
        "no number",
    );
    assert_signed_in(&sign_in(&strict, &idp).await.1, "zhangsan", "persistent");
}

#[tokio::test]
async fn a_value_that_differs_in_blanks_is_somebody_else() {
    let idp = Idp::start().await;
    let subject = "subject = 'profile.attributes.employeeNumber[0]'\n[connector.idp.mapping]\n\
                   login = 'profile.attributes.uid[0]'";
    let menshen = start_menshen(&idp, subject).await;
    for (login, number, expected) in [
        ("zhangsan", "1001", Some("1001")),
        ("lisi", "1001 ", Some("1001 ")),
        ("wangwu", " 1001", Some(" 1001")),
        ("zhaoliu", "1001\u{3000}", Some("1001\u{3000}")),
        ("qianqi", "\u{a0}1001", Some("\u{a0}1001")),
        // A tab is no part of a subject.
        ("sunba", "1001\t", None),
        // Layout of the document is no part of the value.
        ("zhangsan", "\n    1001\n  ", Some("1001")),
        ("zhangsan", "1001", Some("1001")),
    ] {
        let attributes = [
            saml_attribute("uid", None, &[login]),
            saml_attribute("employeeNumber", None, &[number]),
        ];
        idp.state().person.attributes = attributes.concat();
        let (_, page) = sign_in(&menshen, &idp).await;
        match expected {
            Some(expected) => {
                assert_signed_in(&page, login, number);
                assert_eq!(menshen.audit().pop().unwrap()["subject"], expected);
            }
            None => assert_ne!(page.answer.status, 200, "{login}"),
        }
    }
}

#[tokio::test]
async fn the_profile_has_the_parts_of_the_assertion() {
    let idp = Idp::start().await;
    let expressions = [
        ("name", "profile.name_id"),
        ("format", "profile.name_id_format"),
        ("issuer", "profile.issuer"),
        ("session", "profile.session_index"),
        ("context", "profile.authn_context"),
        ("instant", "string(profile.authn_instant)"),
        ("friendly", "profile.friendly.mail[0]"),
        ("joined", "profile.attributes.x[2]"),
    ];
    let mapping = expressions.map(|(name, text)| format!("a_{name} = \"{text}\"\n"));
    let headers = expressions.map(|(name, _)| format!("X-A-{name} = 'user.attributes.a_{name}'\n"));
    let routes = format!(
        "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{{app}}']\n[route.headers]\n{}",
        headers.concat()
    );
    let lines = format!("[connector.idp.mapping]\n{}", mapping.concat());
    let menshen = setup(&idp, &lines).routes(&routes).start().await;
    let attributes = [
        saml_attribute("uid", None, &["zhangsan"]),
        saml_attribute("urn:m", Some("mail"), &["z@corp.example"]),
        saml_attribute("x", None, &["1", "2"]),
        saml_attribute("x", None, &["3 &amp; &lt;"]),
    ];
    idp.state().person.attributes = attributes.concat();
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "the profile");
    let session = idp.state().sessions[0].0.clone();
    for (name, value) in [
        ("name", "p-zhangsan"),
        ("format", PERSISTENT),
        ("issuer", super::response::IDP),
        ("session", session.as_str()),
        ("context", super::response::PASSWORD),
        ("friendly", "z@corp.example"),
        ("joined", "3 & <"),
    ] {
        let sent = page.answer.echoed(&format!("x-a-{name}")).concat();
        let sent = percent_encoding::percent_decode_str(&sent).decode_utf8_lossy();
        assert_eq!(sent, value, "{name}");
    }
    let instant = page.answer.echoed("x-a-instant").concat();
    assert!(
        instant.contains("2027") || instant.contains("1800000000"),
        "{instant}"
    );
}

#[tokio::test]
async fn the_setting_says_which_parts_must_be_signed() {
    let idp = Idp::start().await;
    let neither = "neither the response nor the assertion is signed";
    let rows: [(&str, &[Signed], &str); 5] = [
        ("", &[ASSERTION_ONLY, RESPONSE_ONLY, BOTH], neither),
        (
            "signed = 'any'",
            &[ASSERTION_ONLY, RESPONSE_ONLY, BOTH],
            neither,
        ),
        (
            "signed = 'assertion'",
            &[ASSERTION_ONLY, BOTH],
            "the assertion is not signed",
        ),
        (
            "signed = 'response'",
            &[RESPONSE_ONLY, BOTH],
            "the response is not signed",
        ),
        ("signed = 'both'", &[BOTH], "is not signed"),
    ];
    for (lines, accepted, reason) in rows {
        let menshen = start_menshen(&idp, lines).await;
        for signed in [UNSIGNED, ASSERTION_ONLY, RESPONSE_ONLY, BOTH] {
            idp.state().signed = signed;
            let what = format!("{lines} {signed:?}");
            let (_, page) = sign_in(&menshen, &idp).await;
            if accepted.contains(&signed) {
                assert_signed_in(&page, "zhangsan", &what);
            } else {
                let cause = Cause::InvalidProviderResponse;
                assert_refused(&menshen, &page, cause, reason, &what);
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_of_ours_logins_work_and_requests_are_not_signed() {
    let idp = Idp::start().await;
    let tables = idp.connector_toml_without_key("");
    let menshen = setup_with(&idp, &tables).start().await;
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "no key");
    let request = idp.last_login();
    assert!(!request.query.contains("Signature="), "{}", request.query);
    assert!(!request.xml.contains("Signature"), "{}", request.xml);
}

#[tokio::test]
async fn another_entity_id_of_ours_is_sent_and_demanded() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "entity_id = 'urn:corp:menshen'").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let root = attempt.request.root();
    let issuer = root.only_child(super::response::ASSERTION, "Issuer");
    assert_eq!(issuer.unwrap().unwrap().text(), "urn:corp:menshen");
    // The audience is still the address of our metadata.
    let page = attempt.finish().await;
    assert_refused(
        &menshen,
        &page,
        Cause::InvalidProviderResponse,
        "the Audience of the assertion is another service",
        "the address of our metadata",
    );
    idp.state().edit = Some(|response| {
        response.assertion.audiences = vec![vec!["urn:corp:menshen".to_owned()]];
    });
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "entity_id");
}

#[tokio::test]
async fn two_people_are_two_accounts_and_a_name_id_stays_one() {
    let idp = Idp::start().await;
    let menshen = setup(&idp, "").start().await;
    let mut ids = std::collections::BTreeSet::new();
    for uid in ["zhangsan", "lisi", "zhangsan"] {
        idp.state().person = Person::named(uid);
        let (mut browser, page) = sign_in(&menshen, &idp).await;
        assert_signed_in(&page, uid, uid);
        let info = browser.visit(&format!("{HTTPS}/.menshen/userinfo")).await;
        ids.insert(info.json()["id"].to_string());
    }
    assert_eq!(ids.len(), 2);
}
