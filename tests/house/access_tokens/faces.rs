//! Every face accepts and refuses the same tokens.

use super::*;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::ext_authz::{GrpcClient, check_request, parse_response};

fn original(path: &str, authorization: &str) -> OriginalRequest {
    OriginalRequest::get(path)
        .header("User-Agent", "git/2.47.0")
        .header("Authorization", authorization)
}

#[tokio::test]
async fn every_face_accepts_and_refuses_the_same_tokens() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &["git", "recent"]).await;
    let unknown = format!("mst_{}", "A".repeat(43));
    for (path, authorization, expected) in [
        ("/git/x", basic("lisi", &token), Verdict::Allow),
        ("/git/x", format!("Bearer {token}"), Verdict::Allow),
        ("/git/x", basic("zhangsan", &token), Verdict::Login),
        ("/git/x", basic("lisi", &unknown), Verdict::Login),
        ("/git/x", basic("lisi", "secret"), Verdict::Login),
        ("/app", basic("lisi", &token), Verdict::Login),
        ("/packages/x", basic("lisi", &token), Verdict::Deny),
        ("/recent/x", basic("lisi", &token), Verdict::Deny),
    ] {
        for face in Face::ALL {
            let request = original(path, &authorization);
            let response = request.send_to(face, menshen.address()).await;
            assert_eq!(
                response.verdict, expected,
                "{face:?} {path} {authorization}"
            );
            let login = response.identity.get("x-forwarded-user");
            let login = login.map(String::as_str);
            let is_allowed = expected == Verdict::Allow;
            assert_eq!(login, is_allowed.then_some("lisi"), "{face:?} {path}");
            if expected == Verdict::Login && path != "/app" {
                let challenge = response.answer.header("www-authenticate");
                let challenge = challenge.unwrap_or_default();
                assert!(
                    challenge.starts_with("Basic realm="),
                    "{face:?} {challenge}"
                );
            }
            assert!(!response.answer.text().contains(&token), "{face:?}");
        }
    }
}

#[tokio::test]
async fn envoy_is_told_to_remove_a_token_and_no_other_credentials() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let cookie = session_cookie_of_page(&browser);
    for (path, authorization, is_removed) in [
        ("/git/x", basic("", &token), true),
        ("/git/x", format!("Bearer {token}"), true),
        ("/app", basic("", &token), true),
        ("/git/x", basic("lisi", "secret"), false),
        ("/app", "Bearer other".to_owned(), false),
    ] {
        let request = TestRequest::get(&format!("/.menshen/ext_authz{path}"))
            .header("Authorization", &authorization)
            .session(&cookie);
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, 200, "{path} {authorization}");
        let removed = answer.header("x-envoy-auth-headers-to-remove");
        let removed: Vec<_> = removed.unwrap_or_default().split(',').collect();
        assert_eq!(removed.contains(&"authorization"), is_removed, "{path}");
        let check = check_request(path)
            .header("authorization", &authorization)
            .session(&cookie);
        let mut client = GrpcClient::connect(menshen.address()).await;
        let response = client.check(&check.json()).await;
        let result = parse_response(&response);
        let removed = result.removed.iter().filter(|it| *it == "authorization");
        assert_eq!(removed.count(), usize::from(is_removed), "{path}");
    }
}
