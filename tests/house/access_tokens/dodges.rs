//! Other ways to send a token, to learn one or to make one.

use super::*;

#[tokio::test]
async fn a_token_is_accepted_in_no_other_place() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    for path in [
        format!("/git/x?access_token={token}"),
        format!("/git/x?token={token}&private_token={token}"),
        format!("/git/{token}"),
        format!("http://lisi:{token}@sso.test/git/x"),
    ] {
        let answer = TestRequest::get(&path).send(&menshen).await;
        assert!(
            [400, 401].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
    let basic = basic("lisi", &token);
    let bearer = format!("Bearer {token}");
    let cookie = format!("menshen={token}; __Host-menshen={token}; access_token={token}");
    for (name, value) in [
        ("X-Token", token.as_str()),
        ("Private-Token", &token),
        ("X-Api-Key", &token),
        ("X-Authorization", &bearer),
        ("X-Forwarded-Access-Token", &token),
        ("Proxy-Authorization", &basic),
        ("Cookie", &cookie),
    ] {
        let answer = TestRequest::get("/git/x").header(name, value);
        assert_eq!(answer.send(&menshen).await.status, 401, "{name}");
    }
}

#[tokio::test]
async fn headers_that_a_proxy_joined_open_nothing_and_reach_no_application() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let cookie = session_cookie_of_page(&browser);
    for joined in [
        format!("{},Bearer {token}", basic("proxy", "secret")),
        format!("Bearer {token}, {}", basic("proxy", "secret")),
        format!("{}, {}", basic("proxy", "secret"), basic("lisi", &token)),
    ] {
        let refused = send(&menshen, "/git/x", &joined).await;
        assert_eq!(refused.status, 401, "{joined}");
        for path in ["/app", "/public/x"] {
            let request = program(path, &joined).session(&cookie);
            let answer = request.send(&menshen).await;
            assert_eq!(answer.status, 200, "{path} {joined}");
            assert!(received_values(&answer, "authorization").is_empty());
        }
    }
}

#[tokio::test]
async fn credentials_that_a_proxy_adds_neither_sign_in_nor_disturb_a_session() {
    let (menshen, _mirror) = start().await;
    let browser = signed_in(&menshen, "lisi").await;
    let cookie = session_cookie_of_page(&browser);
    let of_proxy = basic("proxy", "secret");
    let request = program("/git/x", &of_proxy).session(&cookie);
    let answer = request.send(&menshen).await;
    assert_eq!(answer.status, 200);
    assert_eq!(received_values(&answer, "x-forwarded-user"), ["lisi"]);
    assert_eq!(send(&menshen, "/git/x", &of_proxy).await.status, 401);
    let page_load = TestRequest::get("/git/x")
        .navigating()
        .header("Authorization", &of_proxy);
    let answer = page_load.send(&menshen).await;
    assert!([302, 303].contains(&answer.status), "{}", answer.status);
}

#[tokio::test]
async fn no_page_with_a_token_is_cached_or_named_to_another_page() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let fields = [
        ("action", "make"),
        ("name", "ci"),
        ("lasts", "2592000"),
        ("scope", "all"),
    ];
    let made = send_form(&mut browser, &fields).await;
    let first = token_in(&made).unwrap();
    assert_eq!(made.status, 200);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let policy = made.header("referrer-policy").unwrap();
    assert!(["no-referrer", "same-origin"].contains(&policy), "{policy}");
    assert_eq!(made.header("location"), None);
    // A form that is sent again makes another token, and shows the first one to nobody.
    let again = send_form(&mut browser, &fields).await;
    let second = token_in(&again).unwrap();
    assert_ne!(first, second);
    assert!(!again.text().contains(&first[4..]));
}

#[tokio::test]
async fn a_head_request_makes_and_shows_nothing() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = browser
            .send(method, &tokens_page(), &form_headers(), b"")
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
    let head = program("/git/x", &basic("", &token)).method("HEAD");
    assert_eq!(head.send(&menshen).await.status, 200);
    let unknown = format!("mst_{}", "A".repeat(43));
    let head = program("/git/x", &basic("", &unknown)).method("HEAD");
    let answer = head.send(&menshen).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
}

/// The page says who is signed in; a program with a token is not.
#[tokio::test]
async fn a_token_opens_no_userinfo() {
    let mirror = Mirror::start().await;
    // The whole host allows access tokens, so that the own paths lie below such a route.
    let app = "name = \"app\"\nhost = \"sso.test\"\n";
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    let routes = routes.replace(app, &format!("{app}access_tokens = true\n"));
    let setup = setup_with(Setup::default(), &mirror).routes(&routes);
    let menshen = setup.start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let of_zhang = session_cookie_of(&menshen, "zhangsan").await;
    for authorization in [
        basic("lisi", &token),
        basic("__token__", &token),
        basic("", &token),
        basic(&token, ""),
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("Token {token}"),
    ] {
        for method in ["GET", "HEAD"] {
            let request = program("/.menshen/userinfo", &authorization).method(method);
            let answer = request.send(&menshen).await;
            assert_eq!(answer.status, 401, "{method} {authorization}");
            assert!(!answer.text().contains("lisi"), "{}", answer.text());
        }
        // Beside a session it is ignored.
        let request = program("/.menshen/userinfo", &authorization).session(&of_zhang);
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, 200, "{authorization}: {}", answer.text());
        assert_eq!(answer.json()["login"], "zhangsan", "{authorization}");
    }
    let in_query = format!("/.menshen/userinfo?access_token={token}");
    let in_cookie = format!("menshen={token}");
    for request in [
        TestRequest::get(&in_query),
        TestRequest::get("/.menshen/userinfo").header("Cookie", &in_cookie),
    ] {
        assert_eq!(request.send(&menshen).await.status, 401, "{request:?}");
    }
    // The token is valid all the same.
    let answer = send(&menshen, "/app", &basic("lisi", &token)).await;
    assert_eq!(received_values(&answer, "x-forwarded-user"), ["lisi"]);
}
