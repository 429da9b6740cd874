//! `keep_header_case`: header names keep their case, for programs that distinguish it.

use super::tls_setup::{TlsSetup, get_over_http_2};
use crate::raw_connection::{Message, RawConnection};
use crate::setup::Setup;
use crate::upstream::{Reply, UPSTREAM_HOST, Upstream, menshen_in_front_of, public_route};

const REQUEST: &str = "POST / HTTP/1.1\r\nHOST: up.test\r\nSOAPAction: \"x\"\r\nx-lower: 1\r\n\
    X-UPPER: 2\r\nCookie: a=1\r\nuser-AGENT: firmware\r\nContent-length: 2\r\n\r\nhi";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nSOAPVersion: 1\r\nx-lower: 1\r\nX-UPPER: 2\r\n\
    ETag: \"a\"\r\nSET-Cookie: a=1\r\nSet-cookie: b=2\r\nContent-TYPE: text/xml\r\n\
    CONTENT-Length: 4\r\n\r\nfine";

fn header_names(message: &Message) -> Vec<&str> {
    message
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect()
}

async fn soap_upstream() -> Upstream {
    Upstream::start(|request| {
        Reply::KeepAlive(match request.message.target() {
            "/chunked" => "HTTP/1.1 200 OK\r\nX-Chunked: 1\r\nTransfer-ENCODING: chunked\r\n\r\n\
                           4\r\nfine\r\n0\r\n\r\n"
                .into(),
            _ => ANSWER.into(),
        })
    })
    .await
}

/// Sends a request; returns the response head and the request as the upstream received it.
async fn exchange(
    connection: &mut RawConnection<tokio::net::TcpStream>,
    upstream: &Upstream,
) -> (Message, Message) {
    connection.send(REQUEST).await;
    let head = connection.read_head().await.expect("a response arrives");
    assert_eq!(connection.read_bytes(4).await.unwrap(), b"fine");
    (head, upstream.last_request())
}

#[tokio::test]
async fn keep_header_case_preserves_the_case_of_header_names_in_both_directions() {
    let upstream = soap_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "keep_header_case = true").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for _ in 0..2 {
        let (answer, request) = exchange(&mut connection, &upstream).await;
        let sent = header_names(&request);
        for name in ["SOAPAction", "x-lower", "X-UPPER", "Cookie", "user-AGENT"] {
            assert!(sent.contains(&name), "{name} in {sent:?}");
        }
        // Headers that menshen sets have the usual case.
        for name in ["Host", "Content-Length", "X-Forwarded-For", "X-Request-Id"] {
            assert!(sent.contains(&name), "{name} in {sent:?}");
        }
        assert_eq!(request.body, b"hi");
        let got = header_names(&answer);
        for name in ["SOAPVersion", "x-lower", "X-UPPER", "ETag", "Content-TYPE"] {
            assert!(got.contains(&name), "{name} in {got:?}");
        }
        for name in ["SET-Cookie", "Set-cookie", "CONTENT-Length"] {
            assert!(got.contains(&name), "{name} in {got:?}");
        }
    }
    connection
        .send(format!(
            "GET /chunked HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
        ))
        .await;
    let head = connection.read_head().await.unwrap();
    assert!(header_names(&head).contains(&"X-Chunked"), "{head:?}");
    assert_eq!(connection.read_chunk().await.unwrap(), b"fine");
    assert_eq!(connection.read_chunk().await.unwrap(), b"");
}

#[tokio::test]
async fn by_default_header_names_are_in_lower_case() {
    let upstream = soap_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    let (answer, request) = exchange(&mut connection, &upstream).await;
    for name in header_names(&answer)
        .into_iter()
        .chain(header_names(&request))
    {
        assert_eq!(name, name.to_ascii_lowercase());
    }
}

#[tokio::test]
async fn identity_headers_are_removed_in_every_spelling() {
    let upstream = soap_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "keep_header_case = true").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for name in ["X-FORWARDED-USER", "x-Forwarded-user", "X_Forwarded_User"] {
        connection
            .send(format!(
                "GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{name}: boss\r\n\r\n"
            ))
            .await;
        assert_eq!(connection.read_answer().await.status, 200);
        let request = upstream.last_request();
        let boss = request.headers.iter().find(|(_, value)| value == "boss");
        assert_eq!(boss, None, "{name}");
    }
}

#[tokio::test]
async fn keep_header_case_applies_to_new_connections_after_a_reload() {
    let upstream = soap_upstream().await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let menshen = setup.clone().start().await;
    let keeping = setup.routes(&public_route(upstream.url(), "keep_header_case = true"));
    menshen.reload(&keeping).await.unwrap();
    let mut connection = RawConnection::open(menshen.address()).await;
    let (_, request) = exchange(&mut connection, &upstream).await;
    assert!(
        header_names(&request).contains(&"SOAPAction"),
        "{request:?}"
    );
}

#[tokio::test]
async fn over_http_2_the_client_gets_lower_case_and_the_upstream_the_usual_case() {
    let upstream = soap_upstream().await;
    let setup = TlsSetup::start(upstream.url(), "keep_header_case = true").await;
    let response = get_over_http_2(&mut setup.connect_http_2().await, "/").await;
    assert_eq!(
        (response.status, response.headers["soapversion"].as_bytes()),
        (200, &b"1"[..])
    );
    let request = upstream.last_request();
    assert!(
        header_names(&request).contains(&"X-Forwarded-Proto"),
        "{request:?}"
    );
}
