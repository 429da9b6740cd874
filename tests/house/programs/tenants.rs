//! Programs of an issuer that serves many tenants.

use serde_json::{Value, json};

use super::{assert_invalid_token, was_forwarded, with_claims};
use crate::mirror::Mirror;
use crate::oidc::tenants::{CORP, PARTNER, issuer_url_of};
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;

const ROUTE: &str = r#"
[[route]]
name = "api"
host = "sso.test"
path = "/api"
upstream = ["{mirror}"]
issuers = ["ci"]
"#;

async fn start_menshen(ci: &Provider, mirror: &Mirror, tenants: &str) -> Menshen {
    let template = issuer_url_of(ci, "{tenantid}");
    let metadata = ci.url("/.well-known/openid-configuration");
    let issuer = format!(
        "[issuer.ci]\nurl = \"{template}\"\naudiences = [\"menshen\"]\n\
         metadata_url = \"{metadata}\"\ntenants = {tenants}\n"
    );
    ci.misbehave(Misbehavior::json("discovery", move |metadata| {
        metadata["issuer"] = json!(template);
    }));
    let routes = ROUTE.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().tables(&issuer).routes(&routes);
    setup.clock(ci.clock()).start().await
}

fn token(ci: &Provider, iss: &str, tid: Value) -> String {
    let claims = ci.access_token_claims("zhangsan", "menshen");
    ci.sign(
        &with_claims(claims, &json!({ "iss": iss, "tid": tid })),
        &json!({}),
    )
}

#[tokio::test]
async fn only_tokens_of_configured_tenants_are_accepted() {
    let ci = Provider::new().await;
    let mirror = Mirror::start().await;
    let menshen = start_menshen(&ci, &mirror, &format!("['{CORP}']")).await;
    let (corp_issuer, partner_issuer) = (issuer_url_of(&ci, CORP), issuer_url_of(&ci, PARTNER));
    let send = async |iss: &str, tid: Value| {
        let token = token(&ci, iss, tid);
        let request = TestRequest::get("/api").header("Authorization", &format!("Bearer {token}"));
        request.send(&menshen).await
    };
    assert!(was_forwarded(&send(&corp_issuer, json!(CORP)).await));
    for (what, iss, tid) in [
        ("another tenant", &partner_issuer, json!(PARTNER)),
        (
            "the issuer of this tenant with the tid of another",
            &corp_issuer,
            json!(PARTNER),
        ),
        (
            "the issuer of another tenant with the tid of this one",
            &partner_issuer,
            json!(CORP),
        ),
        ("no tenant", &corp_issuer, Value::Null),
        (
            "the template",
            &issuer_url_of(&ci, "{tenantid}"),
            json!("{tenantid}"),
        ),
    ] {
        assert_invalid_token(&send(iss, tid).await, what);
    }
    let any_tenant = start_menshen(&ci, &mirror, "['*']").await;
    for tenant in [CORP, PARTNER] {
        let token = token(&ci, &issuer_url_of(&ci, tenant), json!(tenant));
        let request = TestRequest::get("/api").header("Authorization", &format!("Bearer {token}"));
        assert!(was_forwarded(&request.send(&any_tenant).await), "{tenant}");
    }
}
