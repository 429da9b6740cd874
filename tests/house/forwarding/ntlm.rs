//! Upstreams that authenticate a connection (NTLM, Negotiate): a client keeps its upstream connection,
//! and no other client ever uses it.

use std::collections::HashMap;
use std::sync::Mutex;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::tls_setup::{Http2Body, Http2Response, TlsSetup, send_over_http_2};
use crate::raw_connection::RawConnection;
use crate::setup::{ROUTES, Setup};
use crate::test_request::session_cookie_of;
use crate::upstream::{
    ReceivedRequest, Reply, UPSTREAM_HOST, Upstream, get_request, menshen_in_front_of,
    ok_with_headers, public_route, wait_until,
};
use crate::wire::Answer;

/// Header lines with which an upstream requires authentication of the connection.
const CHALLENGES: [&str; 8] = [
    "WWW-Authenticate: NTLM\r\n",
    "www-authenticate: ntlm\r\n",
    "WWW-Authenticate: Negotiate\r\n",
    "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n",
    "WWW-Authenticate: Basic realm=\"x\", NTLM\r\n",
    "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: NEGOTIATE\r\n",
    "Proxy-Authenticate: NTLM\r\n",
    "Proxy-Authenticate: Digest realm=\"x\" , Negotiate\r\n",
];

/// An upstream that authenticates the connection in three steps: `NTLM hello`, a challenge with the
/// number of the connection, and `NTLM USER NUMBER`. Later requests on the connection belong to that
/// user.
async fn ntlm_upstream(challenge: &'static str) -> Upstream {
    let users: Mutex<HashMap<usize, String>> = Mutex::default();
    Upstream::start(move |request: &ReceivedRequest| {
        let credentials = request.message.single_header("authorization").unwrap_or("");
        let words: Vec<_> = credentials.split(' ').collect();
        let mut users = users.lock().unwrap();
        let number = request.connection.to_string();
        let refused = |line: &str| {
            Reply::KeepAlive(
                format!("HTTP/1.1 401 Unauthorized\r\n{line}Content-Length: 0\r\n\r\n")
                    .into_bytes(),
            )
        };
        match words[..] {
            [_, "hello"] => refused(&format!("WWW-Authenticate: NTLM challenge {number}\r\n")),
            [_, user, answered] if answered == number => {
                users.insert(request.connection, user.to_owned());
                Reply::KeepAlive(ok_with_headers("", user))
            }
            _ => match users.get(&request.connection) {
                Some(user) => Reply::KeepAlive(ok_with_headers("", user)),
                None => refused(challenge),
            },
        }
    })
    .await
}

/// Sends a GET request with further header lines.
async fn get_with(connection: &mut RawConnection<TcpStream>, lines: &str) -> Answer {
    connection.send(get_request("/", lines)).await;
    connection.read_answer().await
}

/// Authenticates as a browser does, with further header lines in every request.
async fn log_in(connection: &mut RawConnection<TcpStream>, user: &str, lines: &str) -> Answer {
    assert_eq!(get_with(connection, lines).await.status, 401);
    let negotiate = get_with(connection, &format!("{lines}Authorization: NTLM hello\r\n")).await;
    let challenge = negotiate
        .header("www-authenticate")
        .expect("a challenge is sent");
    let number = challenge.strip_prefix("NTLM challenge ").unwrap();
    let authenticate = format!("{lines}Authorization: NTLM {user} {number}\r\n");
    get_with(connection, &authenticate).await
}

#[tokio::test]
async fn an_ntlm_login_stays_with_its_client_and_no_other_client_gets_the_connection() {
    for challenge in CHALLENGES {
        let upstream = ntlm_upstream(challenge).await;
        let menshen = menshen_in_front_of(upstream.url(), "").await;
        let mut first = RawConnection::open(menshen.address()).await;
        assert_eq!(
            log_in(&mut first, "boss", "").await.text(),
            "boss",
            "{challenge:?}"
        );
        for _ in 0..3 {
            let mut second_client = RawConnection::open(menshen.address()).await;
            assert_eq!(
                get_with(&mut second_client, "").await.status,
                401,
                "{challenge:?}"
            );
            assert_eq!(
                get_with(&mut first, "").await.text(),
                "boss",
                "{challenge:?}"
            );
            assert_eq!(
                get_with(&mut second_client, "").await.status,
                401,
                "{challenge:?}"
            );
        }
        // Two clients are authenticated at the same time, each on its own connection.
        let mut second = RawConnection::open(menshen.address()).await;
        assert_eq!(log_in(&mut second, "clerk", "").await.text(), "clerk");
        assert_eq!(get_with(&mut first, "").await.text(), "boss");
        assert_eq!(get_with(&mut second, "").await.text(), "clerk");
        drop((first, second));
        wait_until("the upstream connections are closed", || {
            upstream.open_connections() == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_clients_never_share_an_ntlm_login() {
    let upstream = ntlm_upstream(CHALLENGES[0]).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let address = menshen.address();
    let mut tasks = JoinSet::new();
    for number in 0..24 {
        tasks.spawn(async move {
            let mut connection = RawConnection::open(address).await;
            let user = format!("user-{number}");
            let logs_in = number % 3 == 0;
            if logs_in {
                assert_eq!(log_in(&mut connection, &user, "").await.text(), user);
            }
            for _ in 0..20 {
                let answer = get_with(&mut connection, "").await;
                if logs_in {
                    assert_eq!(answer.text(), user);
                } else {
                    assert_eq!((answer.status, answer.text().as_str()), (401, ""));
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn ntlm_credentials_in_a_request_make_the_connection_private() {
    // The upstream sends no challenge; any `Authorization` header authenticates the connection.
    for scheme in ["NTLM", "ntlm", "Negotiate", "NEGOTIATE"] {
        let users: Mutex<HashMap<usize, String>> = Mutex::default();
        let upstream = Upstream::start(move |request| {
            let mut users = users.lock().unwrap();
            if let Some(credentials) = request.message.single_header("authorization") {
                users.insert(request.connection, credentials.to_owned());
            }
            Reply::KeepAlive(ok_with_headers(
                "",
                users.get(&request.connection).map_or("nobody", |user| user),
            ))
        })
        .await;
        let menshen = menshen_in_front_of(upstream.url(), "").await;
        let mut first = RawConnection::open(menshen.address()).await;
        assert_eq!(get_with(&mut first, "").await.text(), "nobody");
        let credentials = format!("Authorization: {scheme} abc\r\n");
        assert_eq!(
            get_with(&mut first, &credentials).await.text(),
            format!("{scheme} abc")
        );
        let mut second_client = RawConnection::open(menshen.address()).await;
        assert_eq!(
            get_with(&mut second_client, "").await.text(),
            "nobody",
            "{scheme}"
        );
        assert_eq!(
            get_with(&mut first, "").await.text(),
            format!("{scheme} abc")
        );
    }
}

#[tokio::test]
async fn ntlm_credentials_set_by_a_route_make_the_connection_private() {
    // The upstream authenticates the connection by the first header it receives.
    let start_upstream = || {
        let users: Mutex<HashMap<usize, String>> = Mutex::default();
        Upstream::start(move |request| {
            let mut users = users.lock().unwrap();
            let credentials = request
                .message
                .single_header("authorization")
                .map(str::to_owned);
            let user = users
                .entry(request.connection)
                .or_insert_with(|| credentials.unwrap_or_else(|| "nobody".to_owned()));
            Reply::KeepAlive(ok_with_headers("", &*user))
        })
    };
    for (scheme, encoding, private) in [
        ("NTLM ", "utf-8", true),
        ("ntlm ", "percent", true),
        ("Negotiate ", "utf-8", true),
        ("NEGOTIATE ", "percent", true),
        ("Custom ", "utf-8", false),
    ] {
        let upstream = start_upstream().await;
        let headers = format!(
            "header_encoding = \"{encoding}\"\n[route.headers]\n\
             Authorization = '\"{scheme}\" + request.headers[\"x-badge\"]'"
        );
        let menshen = menshen_in_front_of(upstream.url(), &headers).await;
        let open = || RawConnection::open(menshen.address());
        let (mut first, mut second_client, mut third) = (open().await, open().await, open().await);
        let boss = get_with(&mut first, "X-Badge: boss\r\n").await.text();
        assert!(boss.ends_with("boss"), "{boss}");
        for (connection, badge) in [(&mut second_client, "X-Badge: clerk\r\n"), (&mut third, "")] {
            let user = get_with(connection, badge).await.text();
            assert_eq!(user.ends_with("boss"), !private, "{scheme}: {user}");
        }
        let again = get_with(&mut first, "X-Badge: boss\r\n").await.text();
        assert!(again.ends_with("boss"), "{again}");
    }
}

#[tokio::test]
async fn a_private_route_never_shares_a_connection_between_clients() {
    // The upstream authenticates the connection by a custom header of the first request.
    let users: Mutex<HashMap<usize, String>> = Mutex::default();
    let upstream = Upstream::start(move |request| {
        let mut users = users.lock().unwrap();
        let credentials = request
            .message
            .single_header("x-badge")
            .unwrap_or("nobody")
            .to_owned();
        let user = users.entry(request.connection).or_insert(credentials);
        Reply::KeepAlive(ok_with_headers("", user))
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "upstream_connections = \"private\"").await;
    let mut first = RawConnection::open(menshen.address()).await;
    assert_eq!(
        get_with(&mut first, "X-Badge: boss\r\n").await.text(),
        "boss"
    );
    let mut second_client = RawConnection::open(menshen.address()).await;
    assert_eq!(get_with(&mut second_client, "").await.text(), "nobody");
    assert_eq!(get_with(&mut first, "").await.text(), "boss");
    assert_eq!(upstream.connections(), 2);
    drop((first, second_client));
    wait_until("the connections are closed", || {
        upstream.open_connections() == 0
    })
    .await;
}

#[tokio::test]
async fn users_behind_one_proxy_never_share_an_ntlm_login() {
    let upstream = ntlm_upstream(CHALLENGES[0]).await;
    let url = upstream.url();
    let routes = format!(
        "{ROUTES}\n[[route]]\nname = \"win\"\nhost = \"sso.test\"\npath = \"/win\"\n\
         upstream = [\"{url}\"]\n{}",
        public_route(url, "")
    );
    for trusted in ["", "trusted_proxies = [\"127.0.0.1\"]"] {
        let menshen = Setup::default()
            .server(trusted)
            .routes(&routes)
            .start()
            .await;
        let cookies = [
            session_cookie_of(&menshen, "zhangsan").await,
            session_cookie_of(&menshen, "lisi").await,
        ];
        // The proxy in front sends requests of both users over one connection.
        let mut connection = RawConnection::open(menshen.address()).await;
        for user in ["zhangsan", "lisi", "zhangsan", "lisi"] {
            let at = usize::from(user == "lisi");
            let request = |more: &str| {
                let cookie = &cookies[at];
                format!(
                    "GET /win HTTP/1.1\r\nHost: sso.test\r\nCookie: menshen={cookie}\r\n{more}\r\n"
                )
            };
            connection.send(request("")).await;
            let answer = connection.read_answer().await;
            if answer.status == 200 {
                assert_eq!(answer.text(), user);
                continue;
            }
            connection
                .send(request("Authorization: NTLM hello\r\n"))
                .await;
            let negotiate = connection.read_answer().await;
            let challenge = negotiate.header("www-authenticate").unwrap().to_owned();
            let number = challenge.rsplit(' ').next().unwrap();
            let authenticate = format!("Authorization: NTLM {user} {number}\r\n");
            connection.send(request(&authenticate)).await;
            assert_eq!(connection.read_answer().await.text(), user);
        }
        // Behind a proxy, the next anonymous request may come from another client.
        for proxy_header in ["X-Forwarded-For: 192.0.2.1\r\n", "Via: 1.1 front\r\n"] {
            let mut connection = RawConnection::open(menshen.address()).await;
            assert_eq!(get_with(&mut connection, proxy_header).await.status, 401);
            let negotiate = format!("{proxy_header}Authorization: NTLM hello\r\n");
            let negotiate = get_with(&mut connection, &negotiate).await;
            let number = negotiate
                .header("www-authenticate")
                .unwrap()
                .rsplit(' ')
                .next()
                .unwrap();
            let authenticate = format!("{proxy_header}Authorization: NTLM boss {number}\r\n");
            assert_ne!(
                get_with(&mut connection, &authenticate).await.text(),
                "boss",
                "{trusted} {proxy_header}"
            );
            assert_eq!(
                get_with(&mut connection, proxy_header).await.status,
                401,
                "{trusted} {proxy_header}"
            );
        }
    }
}

#[tokio::test]
async fn a_reload_never_makes_a_private_connection_shared() {
    let upstream = ntlm_upstream(CHALLENGES[0]).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut first = RawConnection::open(menshen.address()).await;
    assert_eq!(log_in(&mut first, "boss", "").await.text(), "boss");
    let same = menshen.setup.clone();
    menshen.reload(&same).await.unwrap();
    assert_eq!(get_with(&mut first, "").await.text(), "boss");
    let second_client = public_route(upstream.url(), "limits.connect = \"7s\"");
    menshen
        .reload(&Setup::default().routes(&second_client))
        .await
        .unwrap();
    assert_eq!(get_with(&mut first, "").await.status, 401);
    let mut second_client = RawConnection::open(menshen.address()).await;
    assert_eq!(get_with(&mut second_client, "").await.status, 401);
}

/// Sends a request over HTTP/2, with credentials if there are any.
async fn get_over_http_2(
    client: &mut SendRequest<Http2Body>,
    credentials: Option<&str>,
) -> Http2Response {
    let mut request = Request::get(format!("https://{UPSTREAM_HOST}/"));
    if let Some(credentials) = credentials {
        request = request.header("authorization", credentials);
    }
    let request = request.body(Full::default().boxed_unsync());
    send_over_http_2(client, request.unwrap()).await
}

#[tokio::test]
async fn over_http_2_no_other_client_gets_the_connection() {
    let upstream = ntlm_upstream(CHALLENGES[0]).await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let mut first = setup.connect_http_2().await;
    let second = setup.connect_http_2().await;
    // The successive steps of a handshake use the same upstream connection.
    assert_eq!(get_over_http_2(&mut first, None).await.status, 401);
    let negotiate = get_over_http_2(&mut first, Some("NTLM hello")).await;
    let challenge = negotiate.headers["www-authenticate"].to_str().unwrap();
    let number = challenge.strip_prefix("NTLM challenge ").unwrap();
    let authenticate = format!("NTLM boss {number}");
    let authenticated = get_over_http_2(&mut first, Some(&authenticate)).await;
    assert_eq!(authenticated.body, b"boss");
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let (is_first, mut client) = match number % 2 {
            0 => (true, first.clone()),
            _ => (false, second.clone()),
        };
        tasks.spawn(async move { (is_first, get_over_http_2(&mut client, None).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (is_first, response) = done.unwrap();
        assert!(
            response.status == 401 || (is_first && response.body == b"boss"),
            "{is_first} {response:?}"
        );
    }
}
