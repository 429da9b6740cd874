//! `explain`: how menshen decides about a request, by the functions that decide.

mod agreement;
mod command;
mod lines;

use menshen::store::{Admission, AdmissionOutcome, ConnectorId, DirectoryFields, LinkField};
use serde_json::Value;

use crate::mirror::Mirror;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

const TOKEN: &str = "correct-horse-battery-staple";

/// A route for each kind of decision; `{mirror}` is an upstream that returns the request it received.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
public_paths = ["/finance/icon.png"]
upstream = ["{mirror}"]
allow = "'财务部' in user.departments && request.ip != '10.9.9.9'"

[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]

[[route]]
name = "named"
host = "sso.test"
path = "/public/named"
access = "public"
connectors = ["other"]
upstream = ["{mirror}"]

[[route]]
name = "other"
host = "sso.test"
path = "/other"
connectors = ["other"]
upstream = ["{mirror}"]

[[route]]
name = "ruled"
host = "sso.test"
path = "/ruled"
access = "rule"
connectors = ["other"]
allow = "user == null"
upstream = ["{mirror}"]

[[route]]
name = "failing"
host = "sso.test"
path = "/failing"
upstream = ["{mirror}"]
allow = "user.attributes.level > 3 || request.headers['x-level'] == user.login"

[[route]]
name = "by-path"
host = "sso.test"
path = "/by-path"
upstream = ["{mirror}"]
allow = "!request.path.contains('//')"

[[route]]
name = "method"
host = "sso.test"
path = "/method"
access = "public"
preflight = "pass"
upstream = ["{mirror}"]

[[route]]
name = "preflight"
host = "sso.test"
path = "/preflight"
preflight = "pass"
upstream = ["{mirror}"]

[[route]]
name = "strong"
host = "sso.test"
path = "/strong"
acr_values = ["gold"]
max_age = "10m"
upstream = ["{mirror}"]

[[route]]
name = "strongly-ruled"
host = "sso.test"
path = "/strong/ruled"
access = "rule"
acr_values = ["gold"]
allow = "user != null"
upstream = ["{mirror}"]

[[route]]
name = "nowhere"
host = "sso.test"
path = "/nowhere"

[[route]]
name = "dressed"
host = "sso.test"
path = "/dressed"
strip_path = true
upstream = ["{mirror}"]
host_header = "upstream"
pass_headers = ["x-real-ip"]
[route.headers]
X-Departments = "user.departments"
X-Paths = "user.department_paths"
X-Nothing = "user.attributes.nothing"
X-Groups-Size = "size(user.departments)"

[[route]]
name = "basic"
host = "sso.test"
path = "/basic"
upstream = ["{mirror}"]
host_header = "legacy.internal"
header_encoding = "rfc8187"
assertion = true
[route.basic_auth]
user = "user.login"
password = "swordfish-of-the-application"

[[route]]
name = "tokens"
host = "sso.test"
path = "/tokens"
upstream = ["{mirror}"]
header_encoding = "utf-8"
pass_access_token = true
pass_id_token = true

[[route]]
name = "case"
host = "case.test"
path = "/Admin"
case_insensitive = true
upstream = ["{mirror}"]
header_encoding = "base64"

[[route]]
name = "case-rest"
host = "case.test"
access = "public"
upstream = ["{mirror}"]

[[route]]
name = "port"
host = "port.test:8080"
upstream = ["{mirror}"]

[[route]]
name = "any-port"
host = "port.test"
access = "public"
upstream = ["{mirror}"]

[[route]]
name = "wild"
host = "*.wild.test"
upstream = ["{mirror}"]

[[route]]
name = "wilder"
host = "*.very.wild.test"
access = "public"
upstream = ["{mirror}"]
"#;

/// An instance of menshen with an admin listener, in front of a mirror.
struct ExplainServer {
    menshen: Menshen,
    _mirror: Mirror,
}

impl ExplainServer {
    async fn start() -> Self {
        Self::with_store("sqlite::memory:").await
    }

    async fn with_store(store: &str) -> Self {
        let mirror = Mirror::start().await;
        let setup = setup(&mirror).store(store);
        let menshen = setup.start().await;
        Self {
            menshen,
            _mirror: mirror,
        }
    }

    /// `GET /api/explain` with these parameters.
    async fn query_api(&self, parameters: &[(&str, &str)]) -> Answer {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        let admin = self.menshen.running.admin_address().unwrap();
        TestRequest::get(&format!("/api/explain?{}", query.finish()))
            .host("127.0.0.1")
            .header("Authorization", &format!("Bearer {TOKEN}"))
            .send_to(admin)
            .await
    }

    async fn explained(&self, parameters: &[(&str, &str)]) -> Value {
        let answer = self.query_api(parameters).await;
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text());
        answer.json()
    }

    /// Creates an account with an identity at both connectors; the login through `via` is the later one.
    async fn admit_by_both_connectors(&self, login: &str, via: &str) {
        let first = if via == "corp" { "other" } else { "corp" };
        let mobile = vec![(LinkField::Mobile, "13900000000".to_owned())];
        let services = self.menshen.running.live().services();
        let (now, mut at) = (services.clock.now(), 0);
        for connector in [first, via] {
            let admission = Admission {
                connector: connector.parse::<ConnectorId>().unwrap(),
                subject: login.parse().unwrap(),
                login: login.parse().unwrap(),
                links: mobile.clone(),
                vouched: mobile.clone(),
                create: true,
                join: None,
                sync: true,
                is_login: true,
                entitlements: format!(r#"{{"departments":["{connector}"]}}"#),
                fields: DirectoryFields::default(),
                local_revision: None,
                at: now.plus(std::time::Duration::from_secs(at)),
            };
            at += 1;
            let admitted = services.store.admit(&admission).await.unwrap();
            assert!(
                matches!(admitted, AdmissionOutcome::Account(_)),
                "{admitted:?}"
            );
        }
    }
}

fn setup(mirror: &Mirror) -> Setup {
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    Setup::default()
        .tables(&format!("{admin}{NO_LOGIN_LIMITS}{SECOND_CONNECTOR}"))
        .routes(&ROUTES.replace("{mirror}", &mirror.base_url()))
}

/// Two members of each object in a list, as text.
fn name_value_pairs(list: &Value, name: &str, value: &str) -> Vec<(String, String)> {
    let items = list.as_array().unwrap().iter();
    let text = |item: &Value| match item {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    items
        .map(|item| (text(&item[name]), text(&item[value])))
        .collect()
}
