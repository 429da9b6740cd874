//! Time-outs, size limits, streaming, and the head of forwarded requests.

use super::*;

#[tokio::test]
async fn a_slow_upstream_times_out_and_the_error_names_the_phase() {
    let port = start_server(|number, mut stream| async move {
        read_head_in_lower_case(&mut stream).await;
        if number == 2 {
            write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await;
        }
        read_head_in_lower_case(&mut stream).await;
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    let result = send(
        &forwarder,
        route_with_short_timeouts(),
        request(Method::GET, ""),
    )
    .await;
    assert!(
        matches!(result, Err(ForwardError::Timeout(Phase::Response))),
        "{result:?}"
    );
    let forwarded = send(
        &forwarder,
        route_with_short_timeouts(),
        request(Method::GET, ""),
    )
    .await
    .unwrap();
    let UpstreamResponse::Response(response) = forwarded else {
        panic!()
    };
    let error = response.into_body().collect().await.unwrap_err();
    let error = error.downcast_ref::<ForwardError>().unwrap();
    assert!(
        matches!(error, ForwardError::Timeout(Phase::ResponseBody)),
        "{error:?}"
    );
    let unfinished_body = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, BodyError>,
    >());
    let request = Request::post("/").header("host", "a");
    let request = request.body(unfinished_body).unwrap();
    let result = send(&forwarder, route_with_short_timeouts(), request).await;
    assert!(
        matches!(result, Err(ForwardError::Timeout(Phase::RequestBody))),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_request_body_above_the_limit_is_refused_before_or_while_it_is_sent() {
    let forwarder = forwarder(vec![http_upstream(start_echo_server().await)]);
    let mut limited_route = route();
    limited_route.limits.body_bytes_max = 10;
    let fits = send(
        &forwarder,
        limited_route.clone(),
        request(Method::POST, "0123456789"),
    )
    .await;
    assert_eq!(body_text(fits).await, "0123456789");
    let large = send(
        &forwarder,
        limited_route.clone(),
        request(Method::POST, "0123456789a"),
    )
    .await;
    assert!(
        matches!(
            large,
            Err(ForwardError::TooLarge {
                partly_sent: false,
                ..
            })
        ),
        "{large:?}"
    );
    let pieces = ["012345", "678", "9a"].map(|piece| Ok::<_, BodyError>(Frame::data(piece.into())));
    // The upstream never responds before the end of the request.
    let port = start_server(|_, mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    let forwarder = self::forwarder(vec![http_upstream(port)]);
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    let request = Request::post("/").header("host", "a").body(body).unwrap();
    let large = send(&forwarder, limited_route, request).await;
    assert!(
        matches!(
            large,
            Err(ForwardError::TooLarge {
                partly_sent: true,
                ..
            })
        ),
        "{large:?}"
    );
}

#[tokio::test]
async fn bodies_are_streamed_in_both_directions() {
    let forwarder = forwarder(vec![http_upstream(start_echo_server().await)]);
    let (pieces, mut receiver) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|piece| Some(Ok::<_, BodyError>(Frame::data(piece?))))
    }));
    let request = Request::post("/").header("host", "a").body(body).unwrap();
    pieces.send("first".into()).await.unwrap();
    let forwarded = send(&forwarder, route(), request).await.unwrap();
    let UpstreamResponse::Response(response) = forwarded else {
        panic!()
    };
    let mut body = response.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "first");
    for piece in ["second", "third"] {
        pieces.send(piece.into()).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), piece);
    }
    drop(pieces);
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_large_body_is_forwarded_completely() {
    let forwarder = forwarder(vec![http_upstream(start_echo_server().await)]);
    let sent: String = "0123456789abcdef".repeat(1 << 15);
    let mut route = route();
    route.limits.body_bytes_max = sent.len() as u64;
    for _ in 0..3 {
        let got = send(
            &forwarder,
            route.clone(),
            request(Method::POST, sent.clone()),
        )
        .await;
        assert!(body_text(got).await == sent);
    }
}

#[tokio::test]
async fn connect_and_trace_are_never_forwarded() {
    let forwarder = forwarder(vec![http_upstream(start_echo_server().await)]);
    for method in [Method::TRACE, Method::CONNECT] {
        let refused = send(&forwarder, route(), request(method, "")).await;
        assert!(matches!(refused, Err(ForwardError::Method)), "{refused:?}");
    }
}

#[tokio::test]
async fn the_host_header_is_the_clients_the_upstreams_or_a_configured_one() {
    let port = start_server(|_, mut stream| async move {
        while let Some(head) = read_head_in_lower_case(&mut stream).await {
            let host = head
                .lines()
                .find(|line| line.starts_with("host: "))
                .unwrap()
                .to_owned();
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}",
                host.len()
            );
            write(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    let literal = HostHeader::Literal(HeaderValue::from_static("app.internal"));
    for (host_header, expected) in [
        (HostHeader::Client, "oa.corp.example".to_owned()),
        (HostHeader::Upstream, format!("127.0.0.1:{port}")),
        (literal, "app.internal".to_owned()),
    ] {
        let route = Route {
            host_header,
            ..route()
        };
        let body = body_text(send(&forwarder, route, request(Method::GET, "")).await).await;
        assert_eq!(body, format!("host: {expected}"));
    }
}
