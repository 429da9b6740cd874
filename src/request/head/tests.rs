use http::Request;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_s(1_700_000_000);

fn connection_from(ip: &str) -> Connection {
    Connection {
        peer: Peer::Ip(ip.parse().unwrap()),
        tls: false,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    }
}

fn trust() -> Trust {
    Trust {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..Trust::default()
    }
}

fn ring() -> KeyRing {
    crate::keys::install_crypto();
    KeyRing::new(&[crate::keys::generate()], None).unwrap()
}

fn parse<'a>(parts: &'a Parts, connection: &'a Connection) -> Result<Head<'a>, HeadError> {
    let external_url = Url::parse("https://sso.test").unwrap();
    let parse_options = ParseOptions {
        trust: &trust(),
        external_url: &external_url,
        session_cookie_name: "menshen",
        ring: &ring(),
    };
    Head::parse(parts, connection, parse_options, NOW)
}

fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_host_is_compared_in_lower_case_without_dot_or_port() {
    let (host, port) = parse_host("OA.Corp.Example.:8080").unwrap();
    assert_eq!((host.as_str(), port), ("oa.corp.example", Some(8080)));
    assert_eq!(parse_host("[::1]:80").unwrap().0.as_str(), "[::1]");
    for invalid in [
        "", ":80", "a:0", "a:99999", "a b", "a/b", "a@b", "a..b", "a:", "[x]", "a\u{e9}",
    ] {
        assert!(parse_host(invalid).is_err(), "{invalid:?}");
    }
}

#[test]
fn a_request_names_exactly_one_host() {
    let connection = connection_from("192.0.2.1");
    let host_of = |parts: &Parts| parse(parts, &connection).map(|head| head.host.to_string());
    assert_eq!(host_of(&parts("/", &[])), Err(HeadError::NoHost));
    let repeated_header = parts("/", &[("host", "a"), ("host", "a")]);
    assert_eq!(host_of(&repeated_header), Err(HeadError::TwoHosts));
    let other_target = parts("http://a/", &[("host", "b")]);
    assert_eq!(host_of(&other_target), Err(HeadError::TwoHosts));
    let same_target = parts("http://A./", &[("host", "a")]);
    assert_eq!(host_of(&same_target), Ok("a".to_owned()));
}

#[test]
fn forwarding_headers_are_used_only_from_trusted_proxies() {
    let parts = parts(
        "/",
        &[
            ("host", "a"),
            ("x-forwarded-host", "b"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.1.1.1"),
        ],
    );
    let (untrusted, proxy) = (
        connection_from("192.0.2.1"),
        connection_from("::ffff:10.0.0.1"),
    );
    let head = parse(&parts, &untrusted).unwrap();
    assert_eq!((head.host.as_str(), head.secure), ("a", false));
    assert_eq!(head.client_ip, "192.0.2.1".parse::<IpAddr>().unwrap());
    let head = parse(&parts, &proxy).unwrap();
    assert_eq!((head.host.as_str(), head.secure), ("b", true));
    assert_eq!(head.client_ip, "198.51.100.7".parse::<IpAddr>().unwrap());
}

#[test]
fn a_malformed_header_of_a_trusted_proxy_is_refused() {
    let proxy = connection_from("10.0.0.1");
    for (name, value) in [
        ("x-forwarded-for", "a"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "a b"),
    ] {
        let parts = parts("/", &[("host", "a"), (name, value)]);
        assert!(parse(&parts, &proxy).is_err(), "{name}");
    }
}

#[test]
fn two_different_session_cookies_authenticate_nobody() {
    let connection = connection_from("192.0.2.1");
    let session_cookie = |headers: &[(&str, &str)]| {
        let mut all = vec![("host", "a")];
        all.extend_from_slice(headers);
        let parts = parts("/", &all);
        let head = parse(&parts, &connection).unwrap();
        head.credentials.session_cookie.map(str::to_owned)
    };
    assert_eq!(
        session_cookie(&[("cookie", "a=b; menshen=x; c=d")]),
        Some("x".to_owned())
    );
    assert_eq!(
        session_cookie(&[("cookie", "menshen=x; menshen=x")]),
        Some("x".to_owned())
    );
    assert_eq!(session_cookie(&[("cookie", "menshen=x; menshen=y")]), None);
    assert_eq!(
        session_cookie(&[("cookie", "menshen=x"), ("cookie", "menshen=y")]),
        None
    );
    assert_eq!(session_cookie(&[("cookie", "xmenshen=x; menshen")]), None);
}
