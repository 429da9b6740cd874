//! How identity headers are encoded: the encodings, lists, and Basic credentials.

use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

/// A route `/ENCODING` for each encoding, and one for the other paths.
fn routes() -> String {
    let route = |encoding: &str| {
        format!(
            "[[route]]\nname = '{encoding}'\nhost = 'sso.test'\npath = '/{encoding}'\n\
             strip_path = true\nupstream = ['{{app}}']\nheader_encoding = '{encoding}'\n\
             [route.headers]\nX-Departments = 'user.departments'\nX-Absent = 'user.attributes.no'\n\
             X-Mobile = 'user.mobile'\nX-Login = 'user.login'\n"
        )
    };
    let all = ["percent", "utf-8", "base64", "rfc8187"].map(route);
    format!(
        "{}[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{{app}}']\n",
        all.concat()
    )
}

async fn start_menshen() -> (Menshen, String) {
    let mapping = "mapping.groups = \"['财务部', 'a,b', '100%', 'plain']\"";
    let setup = Setup::default().connector(mapping).routes(&routes());
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    (menshen, cookie)
}

fn single_value(answer: &Answer, name: &str) -> Option<String> {
    let values = answer.echoed(name);
    assert!(values.len() <= 1, "{name}: {values:?}");
    values.into_iter().next()
}

#[tokio::test]
async fn names_are_sent_in_the_encoding_of_the_route() {
    let (menshen, cookie) = start_menshen().await;
    // The encoding, and the encoded name, groups and departments. utf-8 cannot escape a comma, so it
    // leaves out the group `a,b`.
    let cases = [
        (
            "percent",
            "%E5%BC%A0%E4%B8%89",
            "%E8%B4%A2%E5%8A%A1%E9%83%A8,a%2Cb,100%25,plain",
            "%E5%B9%B3%E5%8F%B0%E9%83%A8,%E5%BA%94%E7%94%A8%E9%83%A8",
        ),
        ("utf-8", "张三", "财务部,100%,plain", "平台部,应用部"),
        (
            "base64",
            "5byg5LiJ",
            "6LSi5Yqh6YOoLGElMkNiLDEwMCUyNSxwbGFpbg==",
            "5bmz5Y+w6YOoLOW6lOeUqOmDqA==",
        ),
        (
            "rfc8187",
            "UTF-8''%E5%BC%A0%E4%B8%89",
            "UTF-8''%E8%B4%A2%E5%8A%A1%E9%83%A8,UTF-8''a%2Cb,UTF-8''100%25,plain",
            "UTF-8''%E5%B9%B3%E5%8F%B0%E9%83%A8,UTF-8''%E5%BA%94%E7%94%A8%E9%83%A8",
        ),
    ];
    for (encoding, name, groups, departments) in cases {
        let request = TestRequest::get(&format!("/{encoding}/echo")).session(&cookie);
        let answer = request.send(&menshen).await;
        let header = |header: &str| single_value(&answer, header);
        assert_eq!(
            header("x-forwarded-name").as_deref(),
            Some(name),
            "{encoding}"
        );
        assert_eq!(
            header("x-forwarded-groups").as_deref(),
            Some(groups),
            "{encoding}"
        );
        assert_eq!(
            header("x-departments").as_deref(),
            Some(departments),
            "{encoding}"
        );
        let login = if encoding == "base64" {
            "emhhbmdzYW4="
        } else {
            "zhangsan"
        };
        assert_eq!(
            header("x-forwarded-user").as_deref(),
            Some(login),
            "{encoding}"
        );
        assert_eq!(header("x-login").as_deref(), Some(login), "{encoding}");
        assert_eq!(
            header("x-forwarded-preferred-username").as_deref(),
            Some(login)
        );
        // A value that is missing has no header.
        for absent in ["x-absent", "x-mobile", "x-forwarded-email"] {
            assert_eq!(header(absent), None, "{encoding} {absent}");
        }
    }
}

#[tokio::test]
async fn a_hostile_name_cannot_inject_a_header() {
    for hostile in [
        "a\r\nX-Forwarded-User: boss",
        "a\nX-Forwarded-User: boss",
        "a\0b",
        "x\u{2028}\u{85}y",
        " 张 ",
        "\u{7f}",
    ] {
        let menshen = Setup::default().routes(&routes()).start().await;
        menshen
            .wecom
            .member("zhangsan", |member| member.name = hostile.to_owned());
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        for encoding in ["percent", "utf-8", "base64", "rfc8187"] {
            let request = TestRequest::get(&format!("/{encoding}/echo")).session(&cookie);
            let answer = request.send(&menshen).await;
            assert_eq!(answer.status, 200, "{hostile:?} {encoding}");
            let login = if encoding == "base64" {
                "emhhbmdzYW4="
            } else {
                "zhangsan"
            };
            assert_eq!(answer.echoed("x-forwarded-user"), [login], "{hostile:?}");
            let name = single_value(&answer, "x-forwarded-name").unwrap_or_default();
            assert!(
                !name.contains(char::is_control) || hostile.contains('\u{85}'),
                "{name:?}"
            );
        }
    }
}

#[tokio::test]
async fn basic_auth_names_the_person_and_replaces_the_clients_credentials() {
    let routes = r#"
[[route]]
name = "basic"
host = "sso.test"
upstream = ["{app}"]
basic_auth = { user = "user.login", password = "one for all" }
[[route]]
name = "own"
host = "sso.test"
path = "/own"
strip_path = true
upstream = ["{app}"]
[[route]]
name = "name"
host = "sso.test"
path = "/name"
strip_path = true
upstream = ["{app}"]
basic_auth = { user = "user.name", password = "p" }
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
strip_path = true
upstream = ["{app}"]
basic_auth = { user = "user.login", password = "one for all" }
"#;
    let menshen = Setup::default().routes(routes).start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let with_basic_credentials = |path: &'static str, cookie: &str| {
        let request = TestRequest::get(path).header("Authorization", "Basic Ym9zczp4");
        if cookie.is_empty() {
            request
        } else {
            request.session(cookie)
        }
    };
    let answer = with_basic_credentials("/echo", &cookie)
        .send(&menshen)
        .await;
    // zhangsan:one for all
    assert_eq!(
        answer.echoed("authorization"),
        ["Basic emhhbmdzYW46b25lIGZvciBhbGw="]
    );
    let answer = with_basic_credentials("/name/echo", &cookie)
        .send(&menshen)
        .await;
    assert_eq!(answer.echoed("authorization"), ["Basic 5byg5LiJOnA="]);
    // On other routes Authorization belongs to the application.
    let answer = with_basic_credentials("/own/echo", &cookie)
        .send(&menshen)
        .await;
    assert_eq!(answer.echoed("authorization"), ["Basic Ym9zczp4"]);
    // An anonymous request has no credentials, and the client's own are removed.
    let answer = with_basic_credentials("/public/echo", "")
        .send(&menshen)
        .await;
    assert_eq!(answer.echoed("authorization"), [""; 0]);
}

#[tokio::test]
async fn a_user_name_with_a_colon_gets_no_basic_credentials() {
    let routes = "[[route]]\nname = 'a'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                  basic_auth = { user = 'user.name', password = 'p' }\n";
    let menshen = Setup::default().routes(routes).start().await;
    menshen
        .wecom
        .member("zhangsan", |member| member.name = "boss:x".to_owned());
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let answer = TestRequest::get("/echo")
        .session(&cookie)
        .send(&menshen)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.echoed("authorization"), [""; 0]);
}
