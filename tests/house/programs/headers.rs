//! The headers that an application receives from a program; and `Authorization` on other routes, which
//! stays unchanged.

use serde_json::json;

use super::{TwoIssuers, bearer_request, setup, was_forwarded, with_claims};
use crate::mirror;
use crate::test_request::{TestRequest, session_cookie_of};

/// Routes with custom headers for programs.
const CUSTOM_HEADER_ROUTES: &str = r#"
[[route]]
name = "named"
host = "sso.test"
path = "/named"
upstream = ["{mirror}"]
issuers = ["ci"]
[route.headers]
X-Client = "claims.azp"
X-Remote-User = "user.login"
X-Caller = "user != null ? user.login : claims.sub"

[[route]]
name = "without"
host = "sso.test"
path = "/without"
upstream = ["{mirror}"]
issuers = ["ci"]
[route.headers]
Authorization = "null"

[[route]]
name = "replaced"
host = "sso.test"
path = "/replaced"
upstream = ["{mirror}"]
issuers = ["ci"]
[route.headers]
Authorization = "'Program ' + claims.sub"

[[route]]
name = "basic"
host = "sso.test"
path = "/basic"
upstream = ["{mirror}"]
issuers = ["ci"]
basic_auth = { user = "user.login", password = "shared" }
"#;

const IDENTITY_HEADERS: [&str; 7] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-remote-user",
    "x-auth-request-user",
];

async fn start_with_custom_headers() -> TwoIssuers {
    let env = TwoIssuers::start().await;
    let issuers = [("ci", &env.ci, ""), ("partner", &env.partner, "")];
    let setup = setup(&issuers, &env.mirror, CUSTOM_HEADER_ROUTES);
    env.menshen.reload(&setup).await.unwrap();
    env
}

#[tokio::test]
async fn a_program_never_gets_identity_headers_of_a_person() {
    let env = start_with_custom_headers().await;
    // Zhang has a session, and the token claims to be Zhang in every claim.
    session_cookie_of(&env.menshen, "zhangsan").await;
    let zhang = json!({
        "sub": "zhangsan", "preferred_username": "zhangsan", "username": "zhangsan",
        "login": "zhangsan", "name": "张三", "email": "zhangsan@corp.example",
        "email_verified": true, "groups": ["runner", "财务部"],
    });
    let token = env
        .ci
        .sign(&with_claims(env.access_token_claims(), &zhang), &json!({}));
    for path in [
        "/api", "/deploy", "/rule", "/either", "/named", "/without", "/basic",
    ] {
        let request = IDENTITY_HEADERS
            .iter()
            .fold(bearer_request(path, &token), |request, name| {
                request.header(name, "zhangsan")
            });
        let answer = request.send(&env.menshen).await;
        assert!(was_forwarded(&answer), "{path}: {}", answer.text());
        for name in IDENTITY_HEADERS {
            assert!(
                mirror::received_values(&answer, name).is_empty(),
                "{path} {name}"
            );
        }
    }
}

#[tokio::test]
async fn custom_headers_can_name_the_program() {
    let env = start_with_custom_headers().await;
    let answer = env.send_bearer("/named", &env.token()).await;
    assert_eq!(mirror::received_values(&answer, "x-client"), ["runner"]);
    assert_eq!(
        mirror::received_values(&answer, "x-caller"),
        [env.ci.sub("zhangsan")]
    );
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let answer = TestRequest::get("/named")
        .session(&cookie)
        .send(&env.menshen)
        .await;
    assert_eq!(mirror::received_values(&answer, "x-caller"), ["zhangsan"]);
    assert!(mirror::received_values(&answer, "x-client").is_empty());
}

#[tokio::test]
async fn the_application_gets_the_token_unless_the_route_replaces_authorization() {
    let env = start_with_custom_headers().await;
    let token = env.token();
    let value = |answer| mirror::received_values(&answer, "authorization");
    assert_eq!(
        value(env.send_bearer("/api", &token).await),
        [format!("Bearer {token}")]
    );
    assert!(value(env.send_bearer("/without", &token).await).is_empty());
    let sub = env.ci.sub("zhangsan");
    assert_eq!(
        value(env.send_bearer("/replaced", &token).await),
        [format!("Program {sub}")]
    );
    // Without a person there are no Basic credentials, and the token is not sent in their place.
    assert!(value(env.send_bearer("/basic", &token).await).is_empty());
}

#[tokio::test]
async fn without_issuers_authorization_is_forwarded_byte_for_byte_and_not_checked() {
    let env = start_with_custom_headers().await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let values: [&[&[u8]]; 7] = [
        &[b"Bearer a.b.c"],
        &[b"bearer   two  blanks"],
        &[b"Basic YTpi"],
        &[b"Bearer"],
        &[b"Negotiate \xff\xfe"],
        &[b"Bearer a", b"Bearer b", b"Digest username=\"a\""],
        &[b""],
    ];
    for lines in values {
        for path in ["/x", "/public"] {
            let request = TestRequest::get(path).session(&cookie);
            let request = lines.iter().fold(request, |request, line| {
                request.bytes("Authorization", line)
            });
            let answer = request.send(&env.menshen).await;
            let sent = mirror::received_bytes(&answer).expect("the request is forwarded");
            let text: Vec<&[u8]> = sent.split(|byte| *byte == b'\n').collect();
            let received: Vec<_> = text
                .iter()
                .filter_map(|line| {
                    let (name, value) = line.split_at_checked(b"authorization:".len())?;
                    let matches = name.eq_ignore_ascii_case(b"authorization:");
                    matches.then(|| value.trim_ascii())
                })
                .collect();
            assert_eq!(received, lines, "{path}");
            assert_eq!(
                mirror::received_values(&answer, "x-forwarded-user"),
                ["zhangsan"]
            );
        }
    }
    // A valid token is ignored on these routes.
    let answer = env.send_bearer("/public", &env.token()).await;
    assert!(
        mirror::received_values(&answer, "x-forwarded-user").is_empty() && was_forwarded(&answer)
    );
    assert_eq!(env.send_bearer("/x", &env.token()).await.status, 401);
}
