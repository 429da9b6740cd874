//! Every face gives the same verdict for the same request, whatever its path, method, host and headers.

use super::*;

#[tokio::test]
async fn every_face_gives_every_request_the_same_verdict() {
    let faces = Faces::start().await;
    let lisi = session_cookie_of(&faces.menshen, "lisi").await;
    let all = [
        requests(&lisi),
        preflights_and_upgrades(),
        ambiguous_requests(&lisi),
    ];
    for (what, original, verdict) in all.into_iter().flatten() {
        faces.assert_all_decide(what, &original, verdict).await;
    }
}

fn requests(lisi: &str) -> Vec<(&'static str, OriginalRequest, Verdict)> {
    let anonymous = |target: &str| OriginalRequest::get(target);
    let host = |host: &str, target: &str| OriginalRequest {
        host: host.to_owned(),
        ..OriginalRequest::get(target)
    };
    vec![
        ("a request that the rule allows", anonymous("/hours"), Allow),
        ("another method", anonymous("/hours").method("POST"), Login),
        ("another path", anonymous("/hours/no"), Login),
        (
            "another client",
            OriginalRequest {
                client: "198.51.100.1",
                ..anonymous("/hours")
            },
            Login,
        ),
        (
            "a path on which the rule is ambiguous",
            anonymous("/hours/n%6f"),
            Deny,
        ),
        (
            "an encoded path of another route",
            with_session(anonymous("/%66inance"), lisi),
            Deny,
        ),
        (
            "an encoded space",
            with_session(anonymous("/a%20b"), lisi),
            Allow,
        ),
        ("dots", with_session(anonymous("/a/../b"), lisi), Deny),
        (
            "dots that are encoded twice",
            with_session(anonymous("/a/%252e%252e/b"), lisi),
            Deny,
        ),
        (
            "a broken escape",
            with_session(anonymous("/a%zz"), lisi),
            Deny,
        ),
        ("a NUL", with_session(anonymous("/a%00"), lisi), Deny),
        (
            "no such host",
            with_session(host("nowhere.test", "/"), lisi),
            Deny,
        ),
        (
            "a host with a dot and case",
            with_session(host("SSO.Test.", "/"), lisi),
            Allow,
        ),
        ("a host below a domain", host("a.apps.test", "/x"), Allow),
        ("a host of another port", host("sso.test:8443", "/x"), Allow),
        (
            "no host name",
            with_session(host("s$o.test", "/"), lisi),
            Deny,
        ),
        (
            "another method",
            with_session(anonymous("/app/x"), lisi).method("DELETE"),
            Allow,
        ),
    ]
}

fn preflights_and_upgrades() -> Vec<(&'static str, OriginalRequest, Verdict)> {
    let anonymous = |target: &str| OriginalRequest::get(target);
    vec![
        (
            "a preflight",
            anonymous("/public")
                .method("OPTIONS")
                .header("Origin", "http://a.test")
                .header("Access-Control-Request-Method", "PUT"),
            Allow,
        ),
        (
            "a preflight elsewhere",
            anonymous("/app")
                .method("OPTIONS")
                .header("Origin", "http://a.test")
                .header("Access-Control-Request-Method", "PUT"),
            Login,
        ),
        (
            "a websocket without a session",
            anonymous("/app").header("Sec-WebSocket-Version", "13"),
            Login,
        ),
    ]
}

fn ambiguous_requests(lisi: &str) -> Vec<(&'static str, OriginalRequest, Verdict)> {
    let anonymous = |target: &str| OriginalRequest::get(target);
    vec![
        (
            "a host within the path",
            with_session(anonymous("//x/finance"), lisi),
            Deny,
        ),
        (
            "an escape that ends a path",
            with_session(anonymous("/finance%3f"), lisi),
            Deny,
        ),
        (
            "a name that Windows shortens by its dot",
            with_session(anonymous("/finance."), lisi),
            Deny,
        ),
        (
            "a host within a path that a rule reads",
            anonymous("//x/hours/no"),
            Deny,
        ),
        (
            "a method in lower case where a rule reads it",
            anonymous("/hours").method("get"),
            Deny,
        ),
        (
            "a method in lower case elsewhere",
            with_session(anonymous("/app"), lisi).method("purge"),
            Allow,
        ),
        (
            "a method that is too long",
            with_session(anonymous("/app"), lisi).method(&"M".repeat(65)),
            Deny,
        ),
        (
            "a long method",
            with_session(anonymous("/app"), lisi).method(&"M".repeat(64)),
            Allow,
        ),
    ]
}

#[tokio::test]
async fn a_public_path_is_public_only_as_written() {
    let faces = Faces::start().await;
    let lisi = session_cookie_of(&faces.menshen, "lisi").await;
    let path = "/shop/manifest.webmanifest";
    for (target, verdict) in [
        (path, Allow),
        ("/shop/manifest.webmanifest?v=1", Allow),
        ("/shop", Allow),
        ("/shop/", Login),
        ("/shop/manifest.webmanifest/", Login),
        ("/shop/manifest.webmanifest/x", Login),
        ("/shop/manifest.webmanifest;x", Login),
        ("/shop/manifest.webmanifestx", Login),
        ("/shop/Manifest.webmanifest", Login),
        ("/shop/manifest%2ewebmanifest", Login),
        ("/shop/manifest.webmanifest%3fx", Login),
        ("/shop//manifest.webmanifest", Login),
        ("/shop/x", Login),
    ] {
        faces
            .assert_all_decide(target, &OriginalRequest::get(target), verdict)
            .await;
        let signed_in = with_session(OriginalRequest::get(target), &lisi);
        let verdict = if verdict == Login { Deny } else { verdict };
        faces.assert_all_decide(target, &signed_in, verdict).await;
    }
    for method in ["HEAD", "POST", "OPTIONS"] {
        let original = OriginalRequest::get(path).method(method);
        let face = Face::Proxy;
        let response = original.send_to(face, faces.menshen.address()).await;
        assert_eq!(response.verdict, Allow, "{method}");
    }
    // The application learns who is signed in, as on a public route.
    for face in Face::ALL {
        let at = faces.menshen.address();
        let response = with_session(OriginalRequest::get(path), &lisi)
            .send_to(face, at)
            .await;
        assert_eq!(response.identity["x-remote-user"], "lisi", "{face:?}");
        let response = OriginalRequest::get(path).header("X-Remote-User", "root");
        let response = response.send_to(face, at).await;
        assert_eq!(response.identity.get("x-remote-user"), None, "{face:?}");
    }
}

#[tokio::test]
async fn no_request_exceeds_the_cost_limit() {
    let faces = Faces::start().await;
    let list = |items: usize, bytes: usize| vec!["x".repeat(bytes); items].join(",");
    let with_list = |target: &str, list: &str| OriginalRequest::get(target).header("X-List", list);
    let (short, many, long) = (list(3, 3), list(900, 1), list(900, 40));
    let tricky = "/costly/x;y//z%20%5c";
    for (target, list, verdict) in [
        ("/costly", &short, Allow),
        ("/costly", &many, Allow),
        ("/costly", &long, Deny),
        // The rule is evaluated for every interpretation of the path.
        (tricky, &short, Allow),
        (tricky, &many, Deny),
        ("/costly-header", &short, Allow),
        ("/costly-header", &many, Allow),
        ("/costly-header", &long, Deny),
    ] {
        let what = format!("{target}, a list of {} bytes", list.len());
        faces
            .assert_all_decide(&what, &with_list(target, list), verdict)
            .await;
        if verdict == Deny {
            assert_eq!(faces.last_access_line()["reason"], "too costly", "{what}");
        }
    }
    let metrics = faces.menshen.running.live().services().telemetry.render();
    let counted = format!("menshen_costly_requests_total {}\n", 3 * Face::ALL.len());
    assert!(metrics.contains(&counted), "{metrics}");
}
