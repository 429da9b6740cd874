//! Upstreams under a limit of open files.

use super::*;
use crate::resolver::Resolver;

/// Two upstreams, each in a pool of its own, that share so many sockets.
fn sharing(sockets_max: usize, ports: [u16; 2], connect: Duration) -> [Forwarder; 2] {
    let dialer = Dialer::new(Resolver::system(), sockets_max);
    ports.map(|port| {
        let settings = PoolSettings::new(vec![http(port)], connect);
        Forwarder::build_with(vec![settings], None, &dialer).unwrap()
    })
}

async fn body(forwarder: &Forwarder) -> Result<Bytes, ForwardError> {
    let request = request(Method::POST, "hello");
    match send(forwarder, route(), request).await? {
        UpstreamResponse::Response(response) => {
            let body = response.into_body().collect().await;
            Ok(body.map_err(ForwardError::Broken)?.to_bytes())
        }
        UpstreamResponse::Upgraded { .. } => panic!("nobody asked for that"),
    }
}

#[tokio::test]
async fn more_requests_than_sockets_wait_for_each_other_and_all_are_answered() {
    let ports = [echo().await, echo().await];
    let [a, b] = sharing(3, ports, Duration::from_secs(60));
    let all = (0..40).map(|at| body(if at % 2 == 0 { &a } else { &b }));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_its_next_request_keeps_no_upstream_from_its_first() {
    let ports = [echo().await, echo().await];
    let [a, b] = sharing(1, ports, Duration::from_secs(60));
    for _ in 0..5 {
        assert_eq!(body(&a).await.unwrap(), "hello");
        assert_eq!(body(&b).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn without_a_socket_in_time_a_request_is_told_that_all_are_in_use() {
    let (_keep, kept) = oneshot::channel::<()>();
    let kept = Arc::new(std::sync::Mutex::new(Some(kept)));
    let slow = server(move |_, mut stream| {
        let kept = kept.lock().unwrap().take();
        async move {
            head(&mut stream).await;
            let _ = kept.unwrap().await;
        }
    })
    .await;
    let [a, b] = sharing(1, [slow, echo().await], Duration::from_millis(200));
    let waiting = body(&a);
    let refused = async {
        // Until the slow one has the socket, the other may still get it.
        loop {
            match body(&b).await {
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
