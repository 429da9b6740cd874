//! A reloaded configuration takes effect at the next request, or not at all.

use menshen::config::Config;

use crate::browser::Browser;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::{
    Reply, TempFolder, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, ok,
    public_route,
};
use crate::wire;

async fn upstream_with_body(text: &'static str) -> Upstream {
    Upstream::start(move |_| Reply::KeepAlive(ok(text))).await
}

fn parse(menshen: &Menshen, setup: &Setup) -> Config {
    Config::parse(&setup.text(&menshen.wecom, &menshen.app), "test.toml").unwrap()
}

/// Requests a path of the admin listener.
async fn get_from_admin(menshen: &Menshen, path: &str) -> wire::Answer {
    let address = menshen
        .running
        .admin_address()
        .expect("there is an admin listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    wire::send(address, request.as_bytes()).await
}

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

#[tokio::test]
async fn a_new_configuration_takes_effect_at_the_next_request() {
    let (one, two) = (
        upstream_with_body("one").await,
        upstream_with_body("two").await,
    );
    let menshen = Setup::default()
        .routes(&public_route(one.url(), ""))
        .start()
        .await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "one");
    let new_route = "[[route]]\nname = \"new\"\nhost = \"new.test\"\naccess = \"public\"\nupstream = [\"{app}\"]";
    let setup = Setup::default().routes(&public_route(two.url(), new_route));
    menshen.reload(&setup).await.unwrap();
    // The same holds on a connection that exists already.
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "two");
    let request = "GET /echo HTTP/1.1\r\nHost: new.test\r\n\r\n";
    connection.send(request).await;
    assert_eq!(connection.read_answer().await.status, 200);
    // A removed route no longer exists.
    menshen
        .reload(&Setup::default().routes(&public_route(two.url(), "")))
        .await
        .unwrap();
    connection.send(request).await;
    assert_eq!(connection.read_answer().await.status, 404);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_built_changes_nothing_and_says_why() {
    let (one, two) = (
        upstream_with_body("one").await,
        upstream_with_body("two").await,
    );
    let setup = |url: &str| {
        Setup::default()
            .routes(&public_route(url, ""))
            .tables(ADMIN)
    };
    let menshen = setup(one.url()).start().await;
    assert_eq!(
        get_from_admin(&menshen, "/readyz").await.json()["degraded"],
        serde_json::json!([])
    );
    let invalid = setup(two.url()).session("keys = [{ file = \"/nonexistent/session.key\" }]");
    let error = menshen.reload(&invalid).await.unwrap_err();
    assert!(error.contains("/nonexistent/session.key"), "{error}");
    let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(answer.text(), "one");
    // The readiness probe reports the failure; menshen is ready nevertheless.
    let ready = get_from_admin(&menshen, "/readyz").await;
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (200, Some(true))
    );
    assert!(
        ready.json()["degraded"][0]
            .as_str()
            .unwrap()
            .starts_with("the last reload was refused"),
        "{}",
        ready.text()
    );
    let metrics = get_from_admin(&menshen, "/metrics").await.text();
    assert!(
        metrics.contains("menshen_reloads_total{outcome=\"refused\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("menshen_reloads_total{outcome=\"done\"} 0\n"),
        "{metrics}"
    );
    // A valid configuration clears the failure.
    menshen.reload(&setup(two.url())).await.unwrap();
    let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(answer.text(), "two");
    assert_eq!(
        get_from_admin(&menshen, "/readyz").await.json()["degraded"],
        serde_json::json!([])
    );
    let metrics = get_from_admin(&menshen, "/metrics").await.text();
    assert!(
        metrics.contains("menshen_reloads_total{outcome=\"done\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_request_in_progress_is_completed_with_the_old_configuration() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let menshen = Setup::default()
        .routes(&public_route(&url, ""))
        .start()
        .await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 8\r\n\r\nhalf"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    menshen.reload(&Setup::default()).await.unwrap();
    connection.send("full").await;
    assert_eq!(upstream.read_bytes(8).await.unwrap(), b"halffull");
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    assert_eq!(connection.read_answer_head().await.status, 200);
    upstream.send("full").await;
    assert_eq!(connection.read_bytes(8).await.unwrap(), b"halffull");
    // The next request uses the new configuration, which has no such host.
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.status, 404);
}

#[tokio::test]
async fn connections_to_an_unchanged_upstream_stay_open() {
    let upstream = upstream_with_body("same").await;
    let setup = |lines: &str| Setup::default().routes(&public_route(upstream.url(), lines));
    let menshen = setup("").start().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (lines, connections) in [
        ("", 1),
        (
            "[[route]]\nname = \"b\"\nhost = \"b.test\"\nupstream = [\"{app}\"]",
            1,
        ),
        ("path = \"/\"\nlimits.response = \"7s\"", 1),
        // A change of how menshen connects creates a new pool.
        ("limits.connect = \"7s\"", 2),
    ] {
        menshen.reload(&setup(lines)).await.unwrap();
        connection.send(get_request("/", "")).await;
        assert_eq!(connection.read_answer().await.text(), "same");
        assert_eq!(upstream.connections(), connections, "{lines}");
    }
}

#[tokio::test]
async fn changes_that_need_a_restart_are_reported_until_they_are_undone() {
    let menshen = Menshen::new().await;
    let other = Setup::default()
        .session("cached_sessions_max = 7")
        .tables(ADMIN);
    let expected = ["[admin]", "[session] cached_sessions_max"];
    for _ in 0..2 {
        let needed = menshen
            .running
            .reload(parse(&menshen, &other))
            .await
            .unwrap();
        assert_eq!(needed, expected);
    }
    let needed = menshen
        .running
        .reload(parse(&menshen, &Setup::default()))
        .await
        .unwrap();
    assert!(needed.is_empty(), "{needed:?}");
}

#[tokio::test]
async fn a_reload_keeps_sessions_and_revocations() {
    let menshen = Menshen::new().await;
    let (mut signed_in, mut revoked) = (Browser::new(&menshen), Browser::new(&menshen));
    signed_in
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    revoked.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let account = menshen::store::LoginName::try_from("lisi".to_owned()).unwrap();
    let services = menshen.running.live().services().clone();
    let account = services
        .store
        .account_by_login(&account)
        .await
        .unwrap()
        .unwrap();
    let scope = menshen::store::RevocationScope::Account(account.id);
    services.sessions.revoke(&scope).await.unwrap();
    for session in ["", "lifetime = \"3h\"", "idle_timeout = \"1h\""] {
        menshen
            .reload(&Setup::default().session(session))
            .await
            .unwrap();
        let answer = signed_in.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{session}");
        assert_ne!(
            revoked.visit(&format!("{SSO_URL}/echo")).await.status,
            200,
            "{session}"
        );
    }
}

#[tokio::test]
async fn sessions_of_a_removed_connector_are_not_accepted() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let text = Setup::default().text(&menshen.wecom, &menshen.app);
    let renamed = text.replace("connector.corp", "connector.other");
    menshen
        .running
        .reload(Config::parse(&renamed, "t").unwrap())
        .await
        .unwrap();
    assert_ne!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    menshen
        .running
        .reload(Config::parse(&text, "t").unwrap())
        .await
        .unwrap();
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
}

#[tokio::test]
async fn a_key_rotation_keeps_all_sessions() {
    let folder = TempFolder::new();
    let key = |name: &str| {
        let path = folder.write(name, menshen::keys::generate().expose());
        format!("{{ file = {path:?} }}")
    };
    let (old, new) = (key("old"), key("new"));
    let setup = |keys: &str| Setup::default().session(&format!("keys = [{keys}]"));
    let menshen = setup(&old).start().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let before = browser.cookie("menshen").unwrap().value.clone();
    menshen
        .reload(&setup(&format!("{new}, {old}")))
        .await
        .unwrap();
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    let after = browser.cookie("menshen").unwrap().value.clone();
    assert_ne!(before, after, "the cookie is signed again");
    menshen.reload(&setup(&new)).await.unwrap();
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    // A cookie that is signed only with the old key is not accepted.
    browser.set_cookie("sso.test", "menshen", &before);
    assert_ne!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
}

#[tokio::test]
async fn trusted_proxies_change_with_the_next_request() {
    let routes = public_route("{app}", "");
    let setup = |server: &str| Setup::default().routes(&routes).server(server);
    let menshen = setup("").start().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (server, client) in [
        ("", "127.0.0.1"),
        ("trusted_proxies = [\"127.0.0.1\"]", "203.0.113.9"),
        ("", "127.0.0.1"),
    ] {
        menshen.reload(&setup(server)).await.unwrap();
        connection
            .send(get_request("/echo", "X-Forwarded-For: 203.0.113.9\r\n"))
            .await;
        assert_eq!(
            connection.read_answer().await.echoed("x-real-ip"),
            [client],
            "{server}"
        );
    }
}

#[tokio::test]
async fn a_tunnel_that_the_new_configuration_does_not_allow_ends() {
    use crate::forwarding::upgrades::open_websocket;

    let public = public_route("{app}", "");
    let menshen = Setup::default().routes(&public).start().await;
    let mut connection = open_websocket(&menshen, UPSTREAM_HOST, "").await;
    menshen
        .reload(
            &Setup::default()
                .routes(&public)
                .session("lifetime = \"3h\""),
        )
        .await
        .unwrap();
    connection.send([0x81, 0x81, 0, 0, 0, 0, b'x']).await;
    assert_eq!(connection.read_bytes(3).await.unwrap(), [0x81, 1, b'x']);
    let protected = public.replace("public", "signed-in");
    menshen
        .reload(&Setup::default().routes(&protected))
        .await
        .unwrap();
    // The close code 1008 means policy violation.
    assert_eq!(connection.read_to_end().await, [0x88, 2, 0x03, 0xf0]);
}

#[tokio::test]
async fn no_request_fails_during_fifty_reloads() {
    let upstream = upstream_with_body("same").await;
    let setup = |number: usize| {
        let lines = format!("limits.response = \"{}s\"", number + 10);
        Setup::default().routes(&public_route(upstream.url(), &lines))
    };
    let menshen = setup(0).start().await;
    let address = menshen.address();
    let requests = tokio::spawn(async move {
        let mut connection = RawConnection::open(address).await;
        for _ in 0..500 {
            connection.send(get_request("/", "")).await;
            assert_eq!(connection.read_answer().await.text(), "same");
        }
    });
    for number in 0..50 {
        menshen.reload(&setup(number)).await.unwrap();
        tokio::task::yield_now().await;
    }
    requests.await.unwrap();
    assert_eq!(upstream.connections(), 1);
}
