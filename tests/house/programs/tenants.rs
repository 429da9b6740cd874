//! Programs of an issuer that serves many tenants.

use serde_json::{Value, json};

use super::{passed, refused, with};
use crate::mirror::Mirror;
use crate::oidc::tenants::{CORP, PARTNER, name_of};
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

async fn menshen_of(ci: &Provider, mirror: &Mirror, tenants: &str) -> Menshen {
    let template = name_of(ci, "{tenantid}");
    let metadata = ci.url("/.well-known/openid-configuration");
    let issuer = format!(
        "[issuer.ci]\nurl = \"{template}\"\naudiences = [\"menshen\"]\n\
         metadata_url = \"{metadata}\"\ntenants = {tenants}\n"
    );
    ci.misbehave(Misbehavior::json("discovery", move |said| {
        said["issuer"] = json!(template);
    }));
    let routes = ROUTE.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().tables(&issuer).routes(&routes);
    setup.clock(ci.clock()).start().await
}

fn token(ci: &Provider, iss: &str, tid: Value) -> String {
    let claims = ci.access_token_claims("zhangsan", "menshen");
    ci.sign(
        &with(claims, &json!({ "iss": iss, "tid": tid })),
        &json!({}),
    )
}

#[tokio::test]
async fn only_tokens_of_configured_tenants_are_accepted() {
    let ci = Provider::new().await;
    let mirror = Mirror::start().await;
    let menshen = menshen_of(&ci, &mirror, &format!("['{CORP}']")).await;
    let (corps, partners) = (name_of(&ci, CORP), name_of(&ci, PARTNER));
    let ask = async |iss: &str, tid: Value| {
        let token = token(&ci, iss, tid);
        let ask = TestRequest::get("/api").header("Authorization", &format!("Bearer {token}"));
        ask.send(&menshen).await
    };
    assert!(passed(&ask(&corps, json!(CORP)).await));
    for (what, iss, tid) in [
        ("another tenant", &partners, json!(PARTNER)),
        (
            "another tenant under this one's name",
            &corps,
            json!(PARTNER),
        ),
        ("this tenant under another's name", &partners, json!(CORP)),
        ("no tenant", &corps, Value::Null),
        (
            "the template",
            &name_of(&ci, "{tenantid}"),
            json!("{tenantid}"),
        ),
    ] {
        refused(&ask(iss, tid).await, what);
    }
    let everybodys = menshen_of(&ci, &mirror, "['*']").await;
    for tenant in [CORP, PARTNER] {
        let token = token(&ci, &name_of(&ci, tenant), json!(tenant));
        let ask = TestRequest::get("/api").header("Authorization", &format!("Bearer {token}"));
        assert!(passed(&ask.send(&everybodys).await), "{tenant}");
    }
}
