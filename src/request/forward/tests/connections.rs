//! Reuse, replacement and sharing of connections; every request gets its own response.

use super::*;

#[tokio::test]
async fn a_connection_is_reused_for_successive_requests() {
    let port = start_server(|number, mut stream| async move {
        while let Some(head) = read_head_in_lower_case(&mut stream).await {
            assert!(head.starts_with("get /a?b http/1.1\r\n"), "{head}");
            assert!(
                !head.contains("content-length") && !head.contains("connection:"),
                "{head}"
            );
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            write(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    for _ in 0..5 {
        assert_eq!(
            body_text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            "1"
        );
    }
}

#[tokio::test]
async fn a_connection_is_reused_after_responses_without_a_body() {
    let port = start_server(|number, mut stream| async move {
        assert_eq!(number, 1);
        for answer in [
            "200 OK\r\ncontent-length: 0",
            "304 Not Modified",
            "204 No Content",
        ] {
            read_head_in_lower_case(&mut stream).await;
            write(
                &mut stream,
                &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {answer}\r\n\r\n"),
            )
            .await;
        }
        read_head_in_lower_case(&mut stream).await;
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        write(&mut stream, chunks).await;
        read_head_in_lower_case(&mut stream).await;
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    let forwarded = send(&forwarder, route(), request(Method::HEAD, ""))
        .await
        .unwrap();
    let UpstreamResponse::Response(response) = forwarded else {
        panic!()
    };
    assert_eq!(response.headers()[CONTENT_LENGTH], "0");
    drop(response);
    for expected in ["", "", "ok"] {
        assert_eq!(
            body_text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            expected
        );
    }
}

#[tokio::test]
async fn a_connection_with_an_unread_response_is_never_reused() {
    let port = start_server(|number, mut stream| async move {
        while read_head_in_lower_case(&mut stream).await.is_some() {
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{number}");
            write(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    for expected in ["1", "2"] {
        let forwarded = send(&forwarder, route(), request(Method::GET, ""))
            .await
            .unwrap();
        let UpstreamResponse::Response(mut response) = forwarded else {
            panic!()
        };
        let piece = response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(piece, expected);
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once_for_a_repeatable_request() {
    let responses = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&responses);
    // Each connection responds once, reads the next request, and closes without a response.
    let port = start_server(move |_, mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            read_head_in_lower_case(&mut stream).await;
            counter.fetch_add(1, Ordering::Relaxed);
            write(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
            read_head_in_lower_case(&mut stream).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    for _ in 0..3 {
        assert_eq!(
            body_text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            "ok"
        );
    }
    assert_eq!(responses.load(Ordering::Relaxed), 3);
    let posted = send(&forwarder, route(), request(Method::POST, "x")).await;
    assert!(
        matches!(posted, Err(ForwardError::UpstreamDisconnected(_))),
        "{posted:?}"
    );
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_fails_no_request() {
    let (report_close, mut closes) = mpsc::channel::<()>(8);
    let port = start_server(move |_, mut stream| {
        let report_close = report_close.clone();
        async move {
            read_head_in_lower_case(&mut stream).await;
            write(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
            drop(stream);
            report_close.send(()).await.unwrap();
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    for _ in 0..3 {
        let body = body_text(send(&forwarder, route(), request(Method::GET, "")).await).await;
        assert_eq!(body, "ok");
        closes.recv().await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn another_upstream_serves_while_one_is_unreachable() {
    let down = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let failed = send(
        &forwarder(vec![http_upstream(down)]),
        route(),
        request(Method::GET, ""),
    )
    .await;
    assert!(
        matches!(failed, Err(ForwardError::Unreachable(_))),
        "{failed:?}"
    );
    let forwarder = forwarder(vec![
        http_upstream(down),
        http_upstream(start_echo_server().await),
    ]);
    for _ in 0..4 {
        assert_eq!(
            body_text(send(&forwarder, route(), request(Method::POST, "x")).await).await,
            "x"
        );
    }
}

#[tokio::test]
async fn requests_beyond_connections_max_wait_and_then_fail_as_busy() {
    let forwarder = {
        let mut settings = PoolSettings::new(
            vec![http_upstream(start_echo_server().await)],
            SHORT_TIMEOUT,
        );
        settings.connections_max = 1;
        // With shares above 100 percent, only `connections_max` limits the requests.
        settings.client_share_max_percent = 200;
        settings.anonymous_share_max_percent = 200;
        Forwarder::build(vec![settings], None).unwrap()
    };
    let body = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, BodyError>,
    >());
    let unfinished = Request::post("/").header("host", "a").body(body).unwrap();
    let held = send(&forwarder, route(), unfinished).await.unwrap();
    let busy = send(&forwarder, route(), request(Method::GET, "")).await;
    assert!(matches!(busy, Err(ForwardError::Busy)), "{busy:?}");
    drop(held);
    assert!(
        send(&forwarder, route(), request(Method::GET, ""))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn requests_go_to_the_upstream_with_the_fewest_in_progress() {
    let forwarder = forwarder(vec![
        http_upstream(start_echo_server().await),
        http_upstream(start_echo_server().await),
    ]);
    let mut held = Vec::new();
    for _ in 0..6 {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, BodyError>,
        >());
        let unfinished = Request::post("/").header("host", "a").body(body).unwrap();
        held.push(send(&forwarder, route(), unfinished).await.unwrap());
    }
    assert_eq!(forwarder.pools[0].requests_in_progress(), [3, 3]);
    drop(held);
    wait_for_requests_in_progress(&forwarder, &[0, 0]).await;
}

#[tokio::test]
async fn a_pool_with_unchanged_settings_is_kept() {
    let (port_1, port_2) = (http_upstream(1), http_upstream(2));
    let settings = |url: &UpstreamUrl, connect_s| {
        PoolSettings::new(vec![url.clone()], Duration::from_secs(connect_s))
    };
    let old = Forwarder::build(vec![settings(&port_1, 1), settings(&port_2, 1)], None).unwrap();
    let new =
        Forwarder::build(vec![settings(&port_2, 1), settings(&port_1, 2)], Some(&old)).unwrap();
    assert!(Arc::ptr_eq(&old.pools[1], &new.pools[0]));
    assert!(!Arc::ptr_eq(&old.pools[0], &new.pools[1]));
}

/// The self-signed certificate and the TLS acceptor of an upstream named `localhost`.
fn localhost_certificate() -> (rcgen::Certificate, tokio_rustls::TlsAcceptor) {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    (signed.cert, acceptor)
}

#[tokio::test]
async fn the_certificate_name_of_an_https_upstream_is_verified() {
    let (certificate, acceptor) = localhost_certificate();
    let port = start_server(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                read.push(stream.read_u8().await.unwrap());
            }
            let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(text).await.unwrap();
            stream.flush().await.unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let ask = async |host: &str, ca_pem: Option<Vec<u8>>| {
        let url = UpstreamUrl::Tcp {
            tls: true,
            host: host.to_owned(),
            port,
        };
        let material = |ca| TlsMaterial {
            ca: Some(ca),
            server_name: None,
            identity: None,
            verify: true,
        };
        let tls = ca_pem.map(|pem| UpstreamTls::new(&material(pem)).unwrap());
        let settings = PoolSettings {
            tls,
            ..PoolSettings::new(vec![url], Duration::from_secs(2))
        };
        let forwarder = Forwarder::build(vec![settings], None).unwrap();
        send(&forwarder, route(), request(Method::GET, "")).await
    };
    let pem = Some(certificate.pem().into_bytes());
    assert_eq!(body_text(ask("localhost", pem.clone()).await).await, "ok");
    for (host, ca_pem) in [("127.0.0.1", pem), ("localhost", None)] {
        let refused = ask(host, ca_pem).await;
        assert!(
            matches!(refused, Err(ForwardError::Unreachable(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn connecting_to_a_single_upstream_is_tried_twice() {
    let (certificate, acceptor) = localhost_certificate();
    for (closed, method, served) in [
        (1, Method::GET, true),
        (1, Method::POST, true),
        (2, Method::GET, false),
    ] {
        let acceptor = acceptor.clone();
        let port = start_server(move |number, stream| {
            let acceptor = acceptor.clone();
            async move {
                if number <= closed {
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut read = Vec::new();
                while !read.ends_with(b"\r\n\r\nx") && !read.starts_with(b"GET") {
                    read.push(stream.read_u8().await.unwrap());
                }
                let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(text).await.unwrap();
                stream.flush().await.unwrap();
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let url = UpstreamUrl::Tcp {
            tls: true,
            host: "localhost".to_owned(),
            port,
        };
        let material = TlsMaterial {
            ca: Some(certificate.pem().into_bytes()),
            server_name: None,
            identity: None,
            verify: true,
        };
        let settings = PoolSettings {
            tls: Some(UpstreamTls::new(&material).unwrap()),
            ..PoolSettings::new(vec![url], Duration::from_secs(20))
        };
        let forwarder = Forwarder::build(vec![settings], None).unwrap();
        let body = if method == Method::POST { "x" } else { "" };
        let result = send(&forwarder, route(), request(method, body)).await;
        match served {
            true => assert_eq!(body_text(result).await, "ok"),
            false => assert!(
                matches!(result, Err(ForwardError::Unreachable(_))),
                "{result:?}"
            ),
        }
    }
}

#[tokio::test]
async fn an_upstream_may_listen_on_a_unix_socket() {
    let name = format!(
        "menshen-{:016x}.sock",
        u64::from_be_bytes(crate::keys::random())
    );
    let path = std::env::temp_dir().join(name);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    });
    let forwarder = forwarder(vec![UpstreamUrl::Unix(path.clone())]);
    let body = body_text(send(&forwarder, route(), request(Method::GET, "")).await).await;
    std::fs::remove_file(path).unwrap();
    serving.await.unwrap();
    assert_eq!(body, "ok");
}

#[tokio::test]
async fn an_aborted_request_closes_the_upstream_connection() {
    let (report_request, request_arrived) = oneshot::channel::<()>();
    let (report_close, connection_closed) = oneshot::channel::<()>();
    let reports = Arc::new(std::sync::Mutex::new(Some((report_request, report_close))));
    let port = start_server(move |_, mut stream| {
        let reports = reports.lock().unwrap().take();
        async move {
            let (report_request, report_close) = reports.unwrap();
            read_head_in_lower_case(&mut stream).await;
            report_request.send(()).unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            report_close.send(()).unwrap();
        }
    })
    .await;
    let forwarder = forwarder(vec![http_upstream(port)]);
    tokio::select! {
        answer = send(&forwarder, route(), request(Method::GET, "")) => panic!("{answer:?}"),
        arrived = request_arrived => arrived.unwrap(),
    }
    connection_closed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_clients_each_get_their_own_responses() {
    let (port, _stop) = start_proxy(
        forwarder(vec![
            http_upstream(start_echo_server().await),
            http_upstream(start_echo_server().await),
        ]),
        route(),
    )
    .await;
    let clients = (0..24).map(|client| {
        tokio::spawn(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            for number in 0..40 {
                // The bodies differ in text and length.
                let sent = format!("{client}-{number};").repeat(1 + number * client * 7);
                let request = Request::post("/").header("host", "a");
                let request = request.body(Full::new(Bytes::from(sent.clone()))).unwrap();
                sender.ready().await.unwrap();
                let response = sender.send_request(request).await.unwrap();
                if number == 20 + client {
                    // The response stays unread, so its upstream connection must not be reused.
                    return;
                }
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert!(body == sent.as_bytes(), "{client}-{number}");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// Waits until this many requests are in progress at each upstream.
async fn wait_for_requests_in_progress(forwarder: &Forwarder, expected: &[usize]) {
    let waiting = async {
        while forwarder.pools[0].requests_in_progress() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("{:?}", forwarder.pools[0].requests_in_progress()));
}

#[tokio::test]
async fn an_aborted_request_keeps_its_slot_until_the_upstream_finishes_it() {
    let (send_answer, answer) = oneshot::channel::<&'static str>();
    let (report_request, request_arrived) = oneshot::channel();
    let channels = Arc::new(std::sync::Mutex::new(Some((report_request, answer))));
    let port = start_server(move |_, mut stream| {
        let channels = channels.lock().unwrap().take();
        async move {
            let (report_request, answer) = channels.expect("one connection is made");
            read_head_in_lower_case(&mut stream).await.unwrap();
            report_request.send(()).unwrap();
            assert_eq!(
                read_head_in_lower_case(&mut stream).await,
                None,
                "the end of the connection"
            );
            write(&mut stream, answer.await.unwrap()).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let settings = PoolSettings {
        connections_max: 1,
        abandoned_timeout: Duration::from_secs(3600),
        ..PoolSettings::new(vec![http_upstream(port)], Duration::from_secs(10))
    };
    let forwarder = Forwarder::build(vec![settings], None).unwrap();
    let get = || request(Method::GET, "");
    tokio::select! {
        _ = send(&forwarder, route(), get()) => panic!("the upstream did not respond"),
        arrived = request_arrived => arrived.unwrap(),
    }
    assert_eq!(forwarder.pools[0].requests_in_progress(), [1]);
    let refused = send(&forwarder, route(), get()).await;
    assert!(
        matches!(refused, Err(ForwardError::ClientShare)),
        "{refused:?}"
    );
    send_answer.send("HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    wait_for_requests_in_progress(&forwarder, &[0]).await;
}
