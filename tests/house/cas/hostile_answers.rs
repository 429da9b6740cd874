//! Answers of a CAS server that sign nobody in, each beside the honest answer.

use menshen::face::page::Cause;

use super::server::{CasServer, NAMESPACE, failure, success};
use super::{assert_refused, assert_signed_in, is_signed_in, sign_in, start_menshen};

/// An honest answer that names somebody else.
fn admin() -> String {
    success("<cas:user>admin</cas:user>")
}

/// An answer, and a part of the reason in the audit log.
type Hostile = (String, &'static str);

/// Answers that are no XML, or XML with parts that are refused.
fn malformed_answers() -> Vec<Hostile> {
    let not_xml = "not the XML that a CAS server sends";
    vec![
        (format!("<!DOCTYPE x>{}", admin()), not_xml),
        (
            format!(
                "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>{}",
                success("<cas:user>&e;</cas:user>")
            ),
            not_xml,
        ),
        (
            format!(
                "<!DOCTYPE x [<!ENTITY a 'ad'><!ENTITY b '&a;min'>]>{}",
                success("<cas:user>&b;</cas:user>")
            ),
            not_xml,
        ),
        (success("<cas:user>&admin;</cas:user>"), not_xml),
        (format!("<?xml-stylesheet href='x'?>{}", admin()), not_xml),
        (success("<cas:user>ad<?x y?>min</cas:user>"), not_xml),
        (admin().replace("</cas:user>", ""), not_xml),
        (admin().replace("</cas:serviceResponse>", ""), not_xml),
        (format!("{}{}", admin(), admin()), not_xml),
        (format!("{}trailing", admin()), not_xml),
        (
            admin()
                .replace("<cas:user>", "<other:user>")
                .replace("</cas:user>", "</other:user>"),
            not_xml,
        ),
        (
            admin().replace("<cas:user>", "<cas:user a='1' a='1'>"),
            not_xml,
        ),
        (String::new(), not_xml),
        ("yes\nadmin\n".to_owned(), not_xml),
        (
            "{\"serviceResponse\":{\"authenticationSuccess\":{\"user\":\"admin\"}}}".to_owned(),
            not_xml,
        ),
    ]
}

/// Answers whose root is another one, or that succeed and fail at once.
fn contradictory_answers() -> Vec<Hostile> {
    let outcome = |text: &str| {
        let start = text.find("<cas:authentication").unwrap();
        text[start..text.find("</cas:serviceResponse>").unwrap()].to_owned()
    };
    let both = |first: &str, second: &str| {
        format!(
            "<cas:serviceResponse xmlns:cas='{NAMESPACE}'>{first}{second}</cas:serviceResponse>"
        )
    };
    let (yes, no) = (outcome(&admin()), outcome(&failure("INVALID_TICKET", "no")));
    vec![
        (
            "<html><body>admin</body></html>".to_owned(),
            "not a serviceResponse",
        ),
        (
            admin().replace(NAMESPACE, "http://www.yale.edu/tp/cas/"),
            "not a serviceResponse",
        ),
        (
            admin().replace(NAMESPACE, "http://evil.example/cas"),
            "not a serviceResponse",
        ),
        (format!("<x>{}</x>", admin()), "not a serviceResponse"),
        (both(&yes, &no), "exactly one of"),
        (both(&no, &yes), "exactly one of"),
        (both(&yes, &yes), "exactly one of"),
        (both("", ""), "exactly one of"),
        (both("<cas:user>admin</cas:user>", ""), "exactly one of"),
    ]
}

/// Answers that do not name exactly one user.
fn ambiguous_answers() -> Vec<Hostile> {
    let user = "<cas:user>admin</cas:user>";
    vec![
        (success(""), "exactly one user"),
        (success(&format!("{user}{user}")), "exactly one user"),
        (
            success(&format!("{user}<cas:user>zhangsan</cas:user>")),
            "exactly one user",
        ),
        (success("<cas:user> </cas:user>"), "exactly one user"),
        (success("<cas:user>admin </cas:user>"), "exactly one user"),
        (
            success("<cas:user>admin&#x3000;</cas:user>"),
            "exactly one user",
        ),
        (
            success("<cas:user>ad<b/>min</cas:user>"),
            "exactly one user",
        ),
        (success("<user>admin</user>"), "exactly one user"),
        (
            success(&format!("<cas:attributes>{user}</cas:attributes>")),
            "exactly one user",
        ),
        (
            success("<cas:user>ad&#9;min</cas:user>"),
            "without control characters",
        ),
        (
            success(&format!("<cas:user>{}</cas:user>", "x".repeat(513))),
            "1 to 512 bytes",
        ),
    ]
}

#[tokio::test]
async fn a_hostile_answer_signs_nobody_in() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let malformed = malformed_answers().into_iter();
    let hostile = malformed
        .chain(contradictory_answers())
        .chain(ambiguous_answers());
    for (answer, reason) in hostile {
        server.answer_next(&answer);
        let (mut browser, page) = sign_in(&menshen).await;
        assert_eq!(page.answer.status, 400, "{answer}");
        assert_refused(&menshen, &page, Cause::InvalidProviderResponse, reason);
        assert!(!is_signed_in(&mut browser).await, "{answer}");
    }
    for honest in [
        "OK",
        "<?xml version='1.0' encoding='UTF-8'?>\n<!-- x -->OK\n",
    ] {
        server.answer_next(honest);
        assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", honest);
    }
}

#[tokio::test]
async fn a_comment_does_not_cut_a_user_name_short() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    for content in [
        "<cas:user>admin<!-- -->istrator</cas:user>",
        "<cas:user>admin<![CDATA[istrator]]></cas:user>",
        "<cas:user><!-- admin -->administrator<!-- --></cas:user>",
    ] {
        server.answer_next(&success(content));
        assert_signed_in(&sign_in(&menshen).await.1, "administrator", content);
    }
}

#[tokio::test]
async fn a_hostile_answer_of_version_1_0_signs_nobody_in() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "version = '1.0'").await;
    for answer in [
        "",
        "yes",
        "yes\n",
        "yes\n\n",
        "YES\nadmin\n",
        "yes\nzhangsan\nadmin\n",
        "no\n\nyes\nadmin\n",
        "no\nadmin\n",
        "<html>yes\nadmin\n",
        &admin(),
    ] {
        server.answer_next(answer);
        let (mut browser, page) = sign_in(&menshen).await;
        assert_refused(
            &menshen,
            &page,
            Cause::InvalidProviderResponse,
            "neither yes",
        );
        assert!(!is_signed_in(&mut browser).await, "{answer:?}");
    }
    for honest in ["OK", "yes\r\nzhangsan\r\n"] {
        server.answer_next(honest);
        assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", honest);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_redirected_or_an_error_signs_nobody_in() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let longest = |bytes: usize| {
        let admin = admin();
        format!("{}{admin}", " ".repeat(bytes - admin.len()))
    };
    for (status, answer) in [
        (200, longest(1024 * 1024 + 1)),
        (302, admin()),
        (201, admin()),
        (401, admin()),
        (500, admin()),
    ] {
        server.state().answers.push_back((status, answer));
        let (mut browser, page) = sign_in(&menshen).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{status}");
        assert!(!is_signed_in(&mut browser).await, "{status}");
    }
    server.answer_next(&longest(1024 * 1024));
    assert_signed_in(&sign_in(&menshen).await.1, "admin", "the longest answer");
}

#[tokio::test]
async fn a_refusal_of_the_server_has_its_own_page() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    for (code, cause) in [
        ("INVALID_REQUEST", Cause::InvalidProviderResponse),
        ("INVALID_SERVICE", Cause::InvalidProviderResponse),
        ("INVALID_TICKET_SPEC", Cause::AuthTooWeak),
        ("UNAUTHORIZED_SERVICE", Cause::ProviderMisconfigured),
        ("UNAUTHORIZED_SERVICE_PROXY", Cause::ProviderMisconfigured),
        ("INTERNAL_ERROR", Cause::ProviderBusy),
        ("", Cause::InvalidProviderResponse),
        ("SOMETHING_ELSE", Cause::InvalidProviderResponse),
    ] {
        server.answer_next(&failure(code, "simulated"));
        let (mut browser, page) = sign_in(&menshen).await;
        assert_refused(&menshen, &page, cause, &format!("{code}: simulated"));
        assert!(!is_signed_in(&mut browser).await, "{code}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_gets_no_browser() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    server.state().down = true;
    let (_, page) = sign_in(&menshen).await;
    assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    assert_eq!(server.queries("/login").len(), 0);
    server.state().down = false;
    menshen.advance(std::time::Duration::from_secs(10));
    assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", "after the outage");
}
