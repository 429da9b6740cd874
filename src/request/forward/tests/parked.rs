//! The limits on the number and the idle time of private connections.

use super::*;
use crate::request::fixture::zhang;
use crate::resolver::Resolver;

/// Settings with a limit of two private connections, one of them for anonymous callers.
fn settings(ports: &[u16]) -> PoolSettings {
    let upstreams = ports.iter().map(|port| http_upstream(*port)).collect();
    PoolSettings {
        private_max: 2,
        private_anonymous_max: 1,
        ..PoolSettings::new(upstreams, Duration::from_secs(10))
    }
}

fn forwarder_with(settings: PoolSettings) -> Forwarder {
    Forwarder::build(vec![settings], None).unwrap()
}

/// Sends a request that makes its connection private.
async fn send_ntlm(
    forwarder: &Forwarder,
    caller: Caller,
    client: &Arc<Connection>,
) -> Result<String, ForwardError> {
    let mut request = request(Method::GET, "");
    let credentials = "NTLM x".parse().unwrap();
    request.headers_mut().insert("authorization", credentials);
    let sent = send_over(forwarder, route(), (caller, client), request).await?;
    Ok(body_text(Ok(sent)).await)
}

#[tokio::test]
async fn a_connection_that_the_upstream_closes_is_removed() {
    let (close, closed) = oneshot::channel::<()>();
    let closed = Arc::new(std::sync::Mutex::new(Some(closed)));
    let port = start_server(move |_, mut stream| {
        let closed = closed.lock().unwrap().take();
        async move {
            read_head_in_lower_case(&mut stream).await.unwrap();
            write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await;
            let _ = closed.unwrap().await;
        }
    })
    .await;
    let forwarder = forwarder_with(settings(&[port]));
    let client = connection();
    send_ntlm(&forwarder, zhang(), &client).await.unwrap();
    forwarder.pools[0].sweep();
    assert_eq!(forwarder.pools[0].parked_counts(), [1]);
    drop(close);
    let swept = tokio::time::timeout(Duration::from_secs(20), async {
        while forwarder.pools[0].parked_counts() != [0] {
            tokio::time::sleep(Duration::from_millis(5)).await;
            forwarder.pools[0].sweep();
        }
    });
    assert!(swept.await.is_ok());
}

#[tokio::test]
async fn a_private_connection_has_the_idle_time_out_of_the_pool() {
    for (idle_ms, keep_alive) in [(200, ""), (3_600_000, "keep-alive: timeout=1\r\n")] {
        let port = start_server(move |_, mut stream| async move {
            while read_head_in_lower_case(&mut stream).await.is_some() {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1";
                write(&mut stream, &format!("{head}\r\n{keep_alive}\r\nx")).await;
            }
        })
        .await;
        let forwarder = forwarder_with(PoolSettings {
            idle_timeout: Duration::from_millis(idle_ms),
            ..settings(&[port])
        });
        let client = connection();
        send_ntlm(&forwarder, zhang(), &client).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(20), async {
            while forwarder.pools[0].parked_counts() != [0] {
                tokio::time::sleep(Duration::from_millis(5)).await;
                // The pool itself sweeps too rarely for the test.
                if !keep_alive.is_empty() {
                    forwarder.pools[0].sweep();
                }
            }
        });
        assert!(closed.await.is_ok(), "{idle_ms} {keep_alive}");
    }
}

#[tokio::test]
async fn at_the_limit_connections_of_anonymous_callers_are_closed_first() {
    let forwarder = forwarder_with(settings(&[start_echo_server().await]));
    let waiting = || forwarder.pools[0].parked_counts()[0];
    let clients: [_; 4] = std::array::from_fn(|_| connection());
    let ask = |caller, index: usize| send_ntlm(&forwarder, caller, &clients[index]);
    // Anonymous callers have one place.
    for _ in 0..2 {
        for index in [0, 1] {
            ask(anonymous(), index).await.unwrap();
            assert_eq!(waiting(), 1);
        }
    }
    ask(zhang(), 2).await.unwrap();
    assert_eq!(waiting(), 2);
    // An anonymous caller keeps its place until an authenticated one needs it.
    ask(anonymous(), 0).await.unwrap();
    assert_eq!(waiting(), 2);
    ask(zhang(), 3).await.unwrap();
    assert_eq!(waiting(), 2);
    ask(anonymous(), 0).await.unwrap();
    assert_eq!(waiting(), 2);
    let [stranger, _, first, second] = clients;
    drop(stranger);
    assert_eq!(waiting(), 2, "both places belong to authenticated callers");
    drop((first, second));
    assert_eq!(waiting(), 0);
}

#[tokio::test]
async fn an_anonymous_client_keeps_two_connections_and_an_authenticated_one_eight() {
    const REQUESTS: usize = 10;
    for (caller, kept) in [(anonymous as fn() -> Caller, 2), (zhang, 8)] {
        // The server responds after it has received all requests.
        let all_arrived = Arc::new(tokio::sync::Barrier::new(REQUESTS));
        let port = start_server(move |_, mut stream| {
            let all_arrived = Arc::clone(&all_arrived);
            async move {
                while let Some(head) = read_head_in_lower_case(&mut stream).await {
                    assert!(head.contains("ntlm x"), "{head}");
                    all_arrived.wait().await;
                    let text = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
                    write(&mut stream, text).await;
                }
            }
        })
        .await;
        let forwarder = forwarder(vec![http_upstream(port)]);
        let client = connection();
        let all = (0..REQUESTS).map(|_| send_ntlm(&forwarder, caller(), &client));
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer.unwrap(), "x");
        }
        assert_eq!(forwarder.pools[0].parked_counts(), [kept]);
        drop(client);
        assert_eq!(forwarder.pools[0].parked_counts(), [0]);
    }
}

#[tokio::test]
async fn a_waiting_connection_counts_toward_its_client_and_is_closed_for_a_request() {
    let forwarder = forwarder_with(PoolSettings {
        connections_max: 2,
        client_share_max_percent: 100,
        anonymous_share_max_percent: 100,
        ..settings(&[start_echo_server().await])
    });
    let clients = [connection(), connection()];
    for client in &clients {
        send_ntlm(&forwarder, zhang(), client).await.unwrap();
    }
    let parked = || forwarder.pools[0].parked_counts()[0];
    assert_eq!(parked(), 2);
    // Both shares of this client belong to waiting connections; the older one is closed.
    let another = request(Method::POST, "hello");
    let answer = body_text(send(&forwarder, route(), another).await).await;
    assert_eq!((answer.as_str(), parked()), ("hello", 1));
    send_ntlm(&forwarder, zhang(), &clients[0]).await.unwrap();
    assert_eq!(parked(), 2);
}

#[tokio::test]
async fn no_connection_is_kept_while_another_upstream_waits_for_a_socket() {
    let dialer = Dialer::new(Resolver::system(), 1);
    let forwarders = [start_echo_server().await, start_echo_server().await].map(|port| {
        let settings = PoolSettings::new(vec![http_upstream(port)], Duration::from_secs(60));
        Forwarder::build_with(vec![settings], None, &dialer).unwrap()
    });
    let client = connection();
    for _ in 0..3 {
        for forwarder in &forwarders {
            send_ntlm(forwarder, zhang(), &client).await.unwrap();
            assert_eq!(forwarder.pools[0].parked_counts(), [0]);
        }
    }
}
