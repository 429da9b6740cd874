//! An explanation has the verdict that the proxy gives, and the headers that the upstream receives.

use super::*;
use crate::mirror;

/// Headers whose values differ between requests or are hidden: only their names are compared.
const COMPARED_BY_NAME_ONLY: [&str; 4] = [
    "x-request-id",
    "traceparent",
    "authorization",
    "x-menshen-assertion",
];

const TARGETS: [(&str, &str); 34] = [
    ("sso.test", "/x?a=%2f"),
    ("SSO.test.", "/x"),
    ("sso.test", "/finance"),
    ("sso.test", "/finance/x"),
    ("sso.test", "/finance%2fx"),
    ("sso.test", "/finance;a=b/x"),
    ("sso.test", "/finance/icon.png"),
    ("sso.test", "/finance/icon.pn%67"),
    ("sso.test", "/Finance"),
    ("sso.test", "/public/%E8%B4%A2?x"),
    ("sso.test", "/public/named"),
    ("sso.test", "/other"),
    ("sso.test", "/ruled"),
    ("sso.test", "/failing"),
    ("sso.test", "/by-path/a"),
    ("sso.test", "/by-path/a%2fb"),
    ("sso.test", "/by-path/a%2f/b"),
    ("sso.test", "/by-path//a"),
    ("sso.test", "/method"),
    ("sso.test", "/preflight"),
    ("sso.test", "/strong"),
    ("sso.test", "/nowhere"),
    ("sso.test", "/dressed"),
    ("sso.test", "/dressed/a/b?c=d"),
    ("sso.test", "/basic"),
    ("sso.test", "/a/../b"),
    ("sso.test", "/%zz"),
    ("a!b", "/"),
    ("case.test", "/ADMIN/x"),
    ("case.test", "/%41dmin"),
    ("port.test:8080", "/"),
    ("port.test", "/"),
    ("a.wild.test", "/"),
    ("wild.test", "/"),
];

const METHODS_AND_HEADERS: [(&str, &[(&str, &str)]); 4] = [
    ("GET", &[("Accept", "*/*"), ("X-Level", "lisi")]),
    (
        "OPTIONS",
        &[
            ("Origin", "http://a.test"),
            ("Access-Control-Request-Method", "PUT"),
        ],
    ),
    (
        "GET",
        &[
            ("X-Forwarded-For", "10.9.9.9"),
            ("X-Forwarded-User", "root"),
            ("X-Real-IP", "1.2.3.4"),
            ("X_Departments", "财务部"),
            ("X-HTTP-Method-Override", "PUT"),
            ("TE", "trailers"),
            ("X-Request-Id", "abc"),
            ("X-Twice", "1"),
            ("X-Twice", "2"),
        ],
    ),
    ("TRACE", &[]),
];

#[tokio::test]
async fn explain_and_the_proxy_agree_on_every_verdict_and_header() {
    let server = ExplainServer::start().await;
    let mut callers = vec![(None, String::new())];
    for login in ["lisi", "zhangsan"] {
        callers.push((Some(login), session_cookie_of(&server.menshen, login).await));
    }
    let mut verdict_counts = std::collections::BTreeMap::<String, usize>::new();
    for (login, cookie) in &callers {
        for (host, target) in TARGETS {
            for (method, headers) in METHODS_AND_HEADERS {
                let verdict = compare_with_proxy(
                    &server,
                    (*login, cookie),
                    (host, target),
                    (method, headers),
                )
                .await;
                *verdict_counts.entry(verdict).or_default() += 1;
            }
        }
    }
    // Every kind of verdict occurs.
    let verdicts: Vec<_> = verdict_counts.keys().map(String::as_str).collect();
    assert_eq!(
        verdicts,
        [
            "allow",
            "ambiguous-path",
            "bad-request",
            "forbidden",
            "log-in",
            "method",
            "no-route",
            "no-upstream"
        ],
        "{verdict_counts:?}"
    );
}

async fn compare_with_proxy(
    server: &ExplainServer,
    (login, cookie): (Option<&str>, &str),
    (host, target): (&str, &str),
    (method, headers): (&str, &[(&str, &str)]),
) -> String {
    let mut request = TestRequest::get(target)
        .host(host)
        .method(method)
        .headers(headers);
    if login.is_some() {
        request = request.session(cookie);
    }
    let answer = request.send(&server.menshen).await;
    let url = format!("http://{host}{target}");
    let lines: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    let mut parameters = vec![("url", url.as_str()), ("method", method)];
    parameters.extend(login.map(|login| ("as", login)));
    parameters.extend(lines.iter().map(|line| ("header", line.as_str())));
    let explained = server.explained(&parameters).await;
    let what = format!("{login:?} {method} {url}: {explained}");

    let verdict = explained["verdict"]["end"].as_str().unwrap();
    let sent = mirror::received_bytes(&answer).is_some();
    assert_eq!(sent, verdict == "allow", "{} {what}", answer.status);
    match (verdict, explained["verdict"]["status"].as_u64()) {
        ("allow", None) => {
            let target =
                String::from_utf8_lossy(mirror::received_target(&answer).unwrap()).into_owned();
            assert_eq!(
                explained["upstream"]["request"],
                format!("{method} {target}"),
                "{what}"
            );
            let explained_headers =
                name_value_pairs(&explained["upstream"]["headers"], "name", "value");
            let got = mirror::received_headers(&answer);
            assert_eq!(
                without_varying_values(explained_headers),
                without_varying_values(got),
                "{what}"
            );
        }
        ("log-in", None) => assert_eq!(answer.status, 401, "{what}"),
        (_, status) => assert_eq!(Some(u64::from(answer.status)), status, "{what}"),
    }
    verdict.to_owned()
}

fn without_varying_values(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let hide =
        |(name, value): (String, String)| match COMPARED_BY_NAME_ONLY.contains(&name.as_str()) {
            true => (name, String::new()),
            false => (name, value),
        };
    headers.into_iter().map(hide).collect()
}
