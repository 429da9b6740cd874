//! Private upstream connections: the limits on their idle time and number.

use tokio::net::TcpStream;

use crate::frames::{
    DATA, END_STREAM, Frames, HTTP2_WITHOUT_TLS, RST_STREAM, TRUST_ONLY_ANOTHER_HOST,
};
use crate::raw_connection::RawConnection;
use crate::setup::{ROUTES, Setup};
use crate::test_request::session_cookie_of;
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, menshen_in_front_of, ok,
    ok_with_headers, public_route, wait_until,
};

#[tokio::test]
async fn an_idle_private_connection_is_closed_while_its_client_stays_connected() {
    for (keep_alive, header) in [("200ms", ""), ("10s", "Keep-Alive: timeout=1\r\n")] {
        let upstream =
            Upstream::start(move |_| Reply::KeepAlive(ok_with_headers(header, "x"))).await;
        let limits = format!("[route.limits]\nkeep_alive = \"{keep_alive}\"\n");
        let menshen = menshen_in_front_of(upstream.url(), &limits).await;
        for credentials in [
            "",
            "Authorization: NTLM x\r\n",
            "Authorization: Negotiate x\r\n",
        ] {
            let mut client = RawConnection::open(menshen.address()).await;
            let before = upstream.connections();
            client.send(get_request("/", credentials)).await;
            assert_eq!(client.read_answer().await.status, 200);
            assert_eq!(upstream.connections(), before + 1, "{credentials}");
            wait_until("its connection is closed", || {
                upstream.open_connections() == 0
            })
            .await;
            // The client is still connected, and its next request gets a new upstream connection.
            client.send(get_request("/.menshen/ping", "")).await;
            assert_eq!(client.read_answer().await.status, 200);
            client.send(get_request("/", credentials)).await;
            assert_eq!(client.read_answer().await.status, 200);
            wait_until("the new connection is closed, too", || {
                upstream.open_connections() == 0
            })
            .await;
        }
    }
}

/// Whether menshen has closed an upstream connection on which it sent nothing more.
fn is_closed(upstream: &RawConnection<TcpStream>) -> bool {
    matches!(upstream.stream.try_read(&mut [0]), Ok(0))
}

/// An HTTP/2 client and its next stream ID.
struct Client(Frames, u32);

impl Client {
    /// Sends several requests at once.
    async fn send_requests(
        &mut self,
        times: usize,
        (host, path): (&str, &str),
        credentials: &[(&str, &str)],
    ) {
        for _ in 0..times {
            self.0
                .send_request(self.1, END_STREAM, ("GET", host, path), credentials)
                .await;
            self.1 += 2;
        }
    }

    /// Reads several responses to their ends.
    async fn answers(&mut self, mut times: usize) {
        while times > 0 {
            let frame = self.0.next().await.expect("the connection stays open");
            assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
            times -= usize::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
        }
    }
}

#[tokio::test]
async fn anonymous_clients_keep_two_private_connections_and_signed_in_clients_eight() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let route = "[[route]]\nname = \"win\"\nhost = \"sso.test\"\npath = \"/win\"";
    let routes = format!(
        "{ROUTES}\n{route}\nupstream = [\"{url}\"]\n{}",
        public_route(&url, "")
    );
    let setup = Setup::default().routes(&routes).tables(HTTP2_WITHOUT_TLS);
    let menshen = setup.server(TRUST_ONLY_ANOTHER_HOST).start().await;
    let cookie = format!("menshen={}", session_cookie_of(&menshen, "zhangsan").await);
    let ntlm = ("authorization", "NTLM x");
    let headers = [ntlm, ("cookie", &*cookie)];
    for (target, credentials, kept_count) in [
        ((UPSTREAM_HOST, "/"), &headers[..1], 2),
        (("sso.test", "/win"), &headers[..], 8),
    ] {
        let mut client = Client(Frames::open(menshen.address(), 1 << 20).await, 1);
        client.send_requests(8, target, credentials).await;
        let mut connections = Vec::new();
        for _ in 0..8 {
            let mut connection = accept(&socket).await;
            connection.read_request().await.unwrap();
            connections.push(connection);
        }
        for connection in &mut connections {
            connection.send(ok("x")).await;
        }
        client.answers(8).await;
        let closed = || {
            connections
                .iter()
                .filter(|connection| is_closed(connection))
                .count()
        };
        wait_until("the connections above the limit are closed", || {
            closed() == 8 - kept_count
        })
        .await;
        // The remaining connections serve the same client again, all at once.
        connections.retain(|connection| !is_closed(connection));
        client.send_requests(kept_count, target, credentials).await;
        for connection in &mut connections {
            connection.read_request().await.unwrap();
        }
        for connection in &mut connections {
            connection.send(ok("y")).await;
        }
        client.answers(kept_count).await;
        drop(client);
        wait_until("the connections are closed with the client's", || {
            connections.iter().all(is_closed)
        })
        .await;
    }
}
