//! The logs and metrics of requests by programs; and own paths, which accept no bearer tokens.

use serde_json::json;

use menshen::config::Config;
use menshen::telemetry::Telemetry;

use super::{TwoIssuers, bearer_request, was_forwarded, with_claims};
use crate::records::Records;
use crate::test_request::{TestRequest, session_cookie_of};

#[tokio::test]
async fn own_paths_accept_no_program_tokens() {
    let env = TwoIssuers::start().await;
    let (token, cookie) = (
        env.token(),
        session_cookie_of(&env.menshen, "zhangsan").await,
    );
    for token in [token.as_str(), "a.b.c"] {
        let request = bearer_request("/.menshen/userinfo", token);
        assert_eq!(request.clone().send(&env.menshen).await.status, 401);
        let answer = request.session(&cookie).send(&env.menshen).await;
        assert_eq!(
            (answer.status, &answer.json()["login"]),
            (200, &json!("zhangsan"))
        );
    }
    assert_eq!(env.ci.calls("keys"), 0);
}

#[tokio::test]
async fn a_refused_token_is_audited_with_its_reason_at_a_limited_rate() {
    let env = TwoIssuers::start().await;
    let expired = with_claims(env.access_token_claims(), &json!({ "exp": 1 }));
    let token = env.ci.sign(&expired, &json!({}));
    let answer = bearer_request("/api", &token)
        .header("User-Agent", "runner/1")
        .send(&env.menshen)
        .await;
    for _ in 0..50 {
        env.send_bearer("/api", &token).await;
    }
    // The client learns no cause: the texts are those of every refused token.
    let other = bearer_request("/api", "a.b.c").send(&env.menshen).await;
    for member in ["title", "detail"] {
        assert_eq!(answer.json()[member], other.json()[member], "{member}");
    }
    let audit = env.menshen.audit();
    let lines: Vec<_> = audit
        .iter()
        .filter(|line| line["event"] == "refused")
        .collect();
    // Any client can cause these records, so they are limited to one per second.
    assert!((1..20).contains(&lines.len()), "{}", lines.len());
    let line = lines[0];
    assert_eq!(line["issuer"], "ci");
    assert_eq!(line["reason"], "bad token: it has expired");
    assert_eq!(line["user_agent"], "runner/1");
    assert_eq!(line["client"], "127.0.0.1");
}

fn access_records(log_text: &str) -> Vec<serde_json::Value> {
    let records = log_text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    records
        .filter(|record: &serde_json::Value| record["target"] == "menshen::access")
        .collect()
}

#[tokio::test]
async fn the_access_log_names_the_program_and_no_output_contains_a_token() {
    let log = Records::process_log();
    let env = TwoIssuers::start().await;
    let text = env.menshen.setup.text(&env.menshen.wecom, &env.menshen.app);
    let text = text.replace("access = false", "access = true");
    let config = Config::parse(&text, "test.toml").unwrap();
    let records = Records::default();
    let telemetry = Telemetry::writing_to(&config.log, Box::new(records.clone()));
    let running = menshen::run::start_with_telemetry(config, env.menshen.clock.clone(), telemetry)
        .await
        .unwrap();
    let address = running.addresses()[0];
    let valid = env.token();
    assert!(was_forwarded(
        &bearer_request("/api", &valid).send_to(address).await
    ));
    let of_partner = env.partner.sign(&env.access_token_claims(), &json!({}));
    let without_scope = env.ci.sign(
        &with_claims(env.access_token_claims(), &json!({ "scope": "x" })),
        &json!({}),
    );
    for (path, token, status) in [
        ("/api", of_partner.as_str(), 401),
        ("/api", "opaque-secret", 401),
        ("/deploy", &without_scope, 403),
    ] {
        let answer = bearer_request(path, token).send_to(address).await;
        assert_eq!(answer.status, status, "{path}");
    }
    env.ci.start_outage();
    let unknown = env
        .ci
        .sign(&env.access_token_claims(), &json!({ "kid": "new" }));
    let answer = bearer_request("/api", &unknown).send_to(address).await;
    assert_eq!(answer.status, 503);
    running.live().services().telemetry.flush();
    let log_text = records.text();
    let access = access_records(&log_text);
    let sub = env.ci.sub("zhangsan");
    assert_eq!(access.len(), 5);
    assert_eq!(
        (&access[0]["issuer"], &access[0]["subject"]),
        (&json!("ci"), &json!(sub))
    );
    assert!(access[0].get("login").is_none());
    assert_eq!(
        access[1]["reason"],
        "bad token: the issuer has no key for it".replace(
            "no key for it",
            &format!("no key {} for it", env.partner.signing_key().kid)
        )
    );
    assert_eq!(access[3]["reason"], "scope");
    assert_eq!(access[3]["subject"], json!(sub));
    assert_eq!(access[4]["reason"], "issuer ci away");
    let metrics = running.live().services().telemetry.render();
    let pages = [log_text, log.text(), metrics];
    for token in [&valid, &of_partner, &without_scope, &unknown] {
        let parts: Vec<_> = token.split('.').collect();
        for page in &pages {
            assert!(!page.contains(parts[1]) && !page.contains(parts[2]));
        }
    }
    assert!(pages.iter().all(|page| !page.contains("opaque-secret")));
    // Metrics contain no secrets.
    let answer = TestRequest::get("/api").send_to(address).await;
    assert_eq!(answer.status, 401);
    assert!(pages[2].contains("menshen_bearers_total{issuer=\"ci\",outcome=\"verified\"} "));
    assert!(pages[2].contains("menshen_bearers_total{issuer=\"\",outcome=\"refused\"} 1"));
}
