//! Requests with a session: permitted people pass, and the application receives their identity.

use super::anonymous::forged;
use super::client::Ask;
use super::recipes::Front;
use super::{LI_SI, Stage, ZHANG_SAN, promised};

promised! {
    members_pass_and_the_application_gets_their_identity
    the_assertion_arrives_where_a_route_asks_for_it
    a_person_refused_by_a_rule_sees_why
    bodies_and_websockets_go_through
}

/// The header with the login name; Traefik cannot rename response headers of a check.
pub(super) fn login_header(front: Front) -> &'static str {
    match front {
        Front::Traefik => "x-auth-request-user",
        _ => "x-forwarded-user",
    }
}

async fn members_pass_and_the_application_gets_their_identity(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let login = login_header(stage.front);
    let name = login.replace("user", "name");
    // As the only cookie, and between cookies of the application.
    let among = format!("own=1; {cookie}; other=2");
    for (sent, kept) in [(&cookie, ""), (&among, "own=1; other=2")] {
        for target in ["/data?x=1", "/public/data"] {
            let ask = Ask::get(target).with("cookie", sent);
            let answer = stage.client.send(&ask).await;
            assert_eq!(answer.said()["target"], target);
            assert_eq!(answer.told(login), [ZHANG_SAN], "{answer:?}");
            assert_eq!(answer.told(&name), ["%E5%BC%A0%E4%B8%89"], "{answer:?}");
            // Traefik cannot remove a single cookie.
            if stage.front != Front::Traefik {
                let told = answer.told("cookie").join("; ");
                assert_eq!(told, kept, "{sent}");
            }
        }
    }
    // Beside a cookie that does not verify, in both orders; the application receives neither.
    let forged = forged(&cookie);
    for sent in [
        format!("{cookie}; {forged}"),
        format!("own=1; {forged}; {cookie}"),
    ] {
        let answer = stage
            .client
            .send(&Ask::get("/data").with("cookie", &sent))
            .await;
        assert_eq!(answer.told(login), [ZHANG_SAN], "{answer:?}");
        let told = answer.told("cookie").join("; ");
        let is_cut = stage.front != Front::Traefik;
        assert!(!is_cut || !told.contains("menshen="), "{told}");
    }
    let nobody = stage.client.send(&Ask::get("/public/data")).await;
    assert_eq!(nobody.said()["target"], "/public/data");
    assert!(nobody.told(login).is_empty(), "{nobody:?}");
}

async fn the_assertion_arrives_where_a_route_asks_for_it(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    for (target, proofs) in [("/proved", 1), ("/data", 0)] {
        let ask = Ask::get(target).with("cookie", &cookie);
        let ask = ask.with("x-menshen-assertion", "made.up.here");
        let told = stage.client.send(&ask).await.told("x-menshen-assertion");
        assert_eq!(told.len(), proofs, "{target}");
        // Every JWT begins like this, and 张三 has one of menshen's.
        assert!(
            told.iter().all(|proof| proof.starts_with("eyJ")),
            "{told:?}"
        );
    }
}

async fn a_person_refused_by_a_rule_sees_why(stage: Stage) {
    let (mut zhang, cookie) = stage.member(ZHANG_SAN).await;
    let before = stage.application.requests();
    let page = zhang.open(&stage.at("/finance/ledger?year=2026")).await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.body.contains(ZHANG_SAN), "{page:?}");
    let kind = page.headers.get("content-type").unwrap();
    assert_eq!(kind, "text/html; charset=utf-8");
    let policy = page.headers.get("content-security-policy").unwrap();
    assert!(policy.to_str().unwrap().contains("frame-ancestors 'none'"));
    let program = Ask::get("/finance/ledger").with("cookie", &cookie);
    let answer = stage
        .client
        .send(&program.with("accept", "application/json"))
        .await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], 403, "{answer:?}");
    assert_eq!(stage.application.requests(), before);

    let (mut li, _) = stage.member(LI_SI).await;
    let page = li.open(&stage.at("/finance/ledger?year=2026")).await;
    assert_eq!(page.status, 200, "{page:?}");
}

async fn bodies_and_websockets_go_through(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let mut post = Ask::get("/data").with("cookie", &cookie);
    post.method = "POST";
    post.body = "一张报销单";
    let answer = stage.client.send(&post).await;
    assert_eq!(answer.said()["method"], "POST");
    assert_eq!(answer.said()["body"], "一张报销单");
    let before = stage.application.requests();
    post.headers.clear();
    assert_eq!(stage.client.send(&post).await.status, 401);
    assert_eq!(stage.client.echo(Ask::get("/ws")).await, Err(401));
    assert_eq!(stage.application.requests(), before);
    let socket = Ask::get("/ws").with("cookie", &cookie);
    assert_eq!(stage.client.echo(socket).await.as_deref(), Ok("门神"));
}
