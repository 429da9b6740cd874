//! The limit on open sockets that all upstreams share.

use super::*;
use crate::resolver::Resolver;

/// Two upstreams in separate pools that share `sockets_max` sockets.
fn forwarders_sharing(sockets_max: usize, ports: [u16; 2], connect: Duration) -> [Forwarder; 2] {
    let dialer = Dialer::new(Resolver::system(), sockets_max);
    ports.map(|port| {
        let settings = PoolSettings::new(vec![http(port)], connect);
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
    let ports = [echo().await, echo().await];
    let [a, b] = forwarders_sharing(3, ports, Duration::from_secs(60));
    let all = (0..40).map(|at| echoed_hello(if at % 2 == 0 { &a } else { &b }));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap(), "hello");
    }
}

#[tokio::test]
async fn an_idle_connection_never_blocks_another_upstream() {
    let ports = [echo().await, echo().await];
    let [a, b] = forwarders_sharing(1, ports, Duration::from_secs(60));
    for _ in 0..5 {
        assert_eq!(echoed_hello(&a).await.unwrap(), "hello");
        assert_eq!(echoed_hello(&b).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_request_that_gets_no_socket_in_time_fails_as_busy() {
    let (_keep, kept) = oneshot::channel::<()>();
    let kept = Arc::new(std::sync::Mutex::new(Some(kept)));
    let slow = server(move |_, mut stream| {
        let kept = kept.lock().unwrap().take();
        async move {
            read_head(&mut stream).await;
            let _ = kept.unwrap().await;
        }
    })
    .await;
    let [a, b] = forwarders_sharing(1, [slow, echo().await], Duration::from_millis(200));
    let waiting = echoed_hello(&a);
    let refused = async {
        // Requests may succeed until the slow upstream has the socket.
        loop {
            match echoed_hello(&b).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        answer = waiting => panic!("{answer:?}"),
        error = refused => assert!(matches!(error, ForwardError::Busy), "{error:?}"),
    }
}
