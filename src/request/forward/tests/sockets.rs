//! The limit on open sockets that all upstreams share.

use super::*;
use crate::resolver::Resolver;

/// Two upstreams in separate pools that share `sockets_max` sockets.
fn forwarders_sharing(sockets_max: usize, ports: [u16; 2], connect: Duration) -> [Forwarder; 2] {
    let dialer = Dialer::new(Resolver::system(), sockets_max);
    ports.map(|port| {
        let settings = PoolSettings::new(vec![http_upstream(port)], connect);
        Forwarder::build_with(vec![settings], None, &dialer).unwrap()
    })
}

async fn echoed_hello(forwarder: &Forwarder) -> Result<Bytes, ForwardError> {
    let request = request(Method::POST, "hello");
    match send(forwarder, route(), request).await? {
        UpstreamResponse::Response(response) => {
            let body = response.into_body().collect().await;
            Ok(body.map_err(ForwardError::UpstreamDisconnected)?.to_bytes())
        }
        UpstreamResponse::Upgraded { .. } => panic!("no upgrade was requested"),
    }
}

#[tokio::test]
async fn more_requests_than_sockets_wait_and_all_succeed() {
    let ports = [start_echo_server().await, start_echo_server().await];
    let forwarders = forwarders_sharing(3, ports, Duration::from_secs(60));
    let all = (0..40).map(|number| echoed_hello(&forwarders[number % 2]));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap(), "hello");
    }
}

#[tokio::test]
async fn an_idle_connection_never_blocks_another_upstream() {
    let ports = [start_echo_server().await, start_echo_server().await];
    let forwarders = forwarders_sharing(1, ports, Duration::from_secs(60));
    for _ in 0..5 {
        for forwarder in &forwarders {
            assert_eq!(echoed_hello(forwarder).await.unwrap(), "hello");
        }
    }
}

#[tokio::test]
async fn a_request_that_gets_no_socket_in_time_fails_as_busy() {
    let (_end_test, end_of_test) = oneshot::channel::<()>();
    let end_of_test = Arc::new(std::sync::Mutex::new(Some(end_of_test)));
    let silent_port = start_server(move |_, mut stream| {
        let end_of_test = end_of_test.lock().unwrap().take();
        async move {
            read_head_in_lower_case(&mut stream).await;
            let _ = end_of_test.unwrap().await;
        }
    })
    .await;
    let ports = [silent_port, start_echo_server().await];
    let [to_silent, to_echo] = forwarders_sharing(1, ports, Duration::from_millis(200));
    let unanswered = echoed_hello(&to_silent);
    let refused = async {
        // Requests may succeed until the silent upstream has the socket.
        loop {
            match echoed_hello(&to_echo).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        answer = unanswered => panic!("{answer:?}"),
        error = refused => assert!(matches!(error, ForwardError::Busy), "{error:?}"),
    }
}
