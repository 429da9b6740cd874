//! Thousands of cookies and parameters, unknown connector names, and return addresses with line ends.

use super::{assert_serves_logins, head};
use crate::setup::{Menshen, SSO_URL};
use crate::wire;

#[tokio::test]
async fn thousands_of_cookies_and_parameters_neither_give_access_nor_stop_the_server() {
    let menshen = Menshen::new().await;
    let cookies: String = (0..3000).map(|at| format!("c{at}={at}; ")).collect();
    let flows: String = (0..1500)
        .map(|at| format!("menshen-flow-{at}=x; "))
        .collect();
    let sessions: String = (0..2000).map(|at| format!("menshen=x{at}; ")).collect();
    for connection in [&cookies, &flows, &sessions] {
        for target in [
            "/echo",
            "/.menshen/callback/corp?code=a&state=b",
            "/.menshen/userinfo",
        ] {
            let request = head(
                target.as_bytes(),
                format!("Cookie: {connection}\r\n").as_bytes(),
            );
            let answer = wire::send(menshen.address(), &request).await;
            assert!(
                (300..500).contains(&answer.status),
                "{target}: {}",
                answer.status
            );
            // The next request of the browser must not have more than fits.
            let bytes: usize = answer
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            assert!(bytes < 16 * 1024, "{target}: {bytes} bytes of headers");
        }
    }
    let parameters: String = (0..8000).map(|at| format!("&p{at}=1")).collect();
    for path in [
        "sign_in",
        "start",
        "callback",
        "callback/corp",
        "ticket",
        "sign_out",
        "userinfo",
    ] {
        let target = format!("/.menshen/{path}?a=b{parameters}");
        let answer = wire::try_send(menshen.address(), &head(target.as_bytes(), b"")).await;
        assert!(
            answer.is_none_or(|it| (300..500).contains(&it.status)),
            "{path}"
        );
    }
    assert_eq!(menshen.app.requests(), 0);
    assert_serves_logins(&menshen).await;
}

#[tokio::test]
async fn unknown_connector_names_add_nothing_to_the_metrics() {
    let menshen = Menshen::new().await;
    for at in 0..50 {
        let target = format!("/.menshen/callback/made-up-{at}");
        let answer = wire::send(menshen.address(), &head(target.as_bytes(), b"")).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        let target = format!("/.menshen/login-config/made-up-{at}");
        let answer = wire::send(menshen.address(), &head(target.as_bytes(), b"")).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    wire::send(menshen.address(), &head(b"/.menshen/callback/corp", b"")).await;
    let metrics = menshen.running.live().services().telemetry.render();
    assert!(!metrics.contains("made-up"), "{metrics}");
    assert!(metrics.contains("connector=\"corp\""), "{metrics}");
}

#[tokio::test]
async fn a_return_address_adds_no_header_and_no_open_redirect() {
    let menshen = Menshen::new().await;
    for rd in [
        "/%0d%0aSet-Cookie:%20menshen=evil",
        "/%0D%0A%0D%0A<script>",
        "/%0aLocation:%20https://evil.test/",
        "/%E5%98%8A%E5%98%8DSet-Cookie:a=b",
        "%0d%0a",
        "//evil.test/",
        "/%5cevil.test",
        "\\\\evil.test",
        "https://evil.test/",
        "https://sso.test@evil.test/",
        "http://sso.test.evil.test/",
        "http://sso.test:81/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/%00",
        "/\u{202e}x",
    ] {
        for path in ["sign_in", "start", "sign_out"] {
            let target = format!("/.menshen/{path}?rd={rd}");
            let answer = wire::send(menshen.address(), &head(target.as_bytes(), b"")).await;
            assert!(answer.status < 500, "{target}: {}", answer.status);
            let names: Vec<_> = answer
                .headers
                .iter()
                .map(|(name, _)| name.to_lowercase())
                .collect();
            assert!(
                names.iter().filter(|name| *name == "location").count() <= 1,
                "{names:?}"
            );
            assert!(
                !answer
                    .header_values("set-cookie")
                    .any(|connection| connection.contains("evil")),
                "{target}"
            );
            let all = format!("{:?} {}", answer.headers, answer.text());
            let location = answer.header("location").unwrap_or("/");
            let host = url::Url::parse(SSO_URL).unwrap().join(location).unwrap();
            let host = host.host_str().unwrap().to_owned();
            assert!(
                host == "sso.test" || host == "127.0.0.1",
                "{target}: {location}"
            );
            assert!(
                !all.contains("<script>") && !all.contains("\"javascript:"),
                "{target}"
            );
        }
    }
    assert_eq!(menshen.app.requests(), 0);
}
