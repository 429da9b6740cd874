//! The headers `Destination` and `If` of WebDAV and Subversion are rewritten to the URLs that the
//! application knows.

use super::ok_upstream;
use crate::setup::Setup;
use crate::upstream::{UPSTREAM_HOST, menshen_in_front_of, public_route};
use crate::wire;

fn request(target: &str, lines: &str) -> Vec<u8> {
    format!("MOVE {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{lines}\r\n").into_bytes()
}

/// Lines of the route, the URL that the client sends, and the URL that the upstream receives.
const REWRITTEN: [(&str, &str, &str); 19] = [
    ("", "/mounted/x", "/mounted/x"),
    ("", "https://up.test/mounted/x", "http://up.test/mounted/x"),
    (
        "",
        "https://UP.test:443/mounted/x",
        "http://UP.test/mounted/x",
    ),
    (
        "",
        "http://up.test:80/mounted/x",
        "http://up.test:80/mounted/x",
    ),
    ("", "x", "/mounted/x"),
    ("strip_path = true", "/mounted/x", "/x"),
    ("strip_path = true", "/mounted", "/"),
    ("strip_path = true", "/mounted?a=b", "/?a=b"),
    (
        "strip_path = true",
        "/mounted/x%20y?a=/mounted/z",
        "/x%20y?a=/mounted/z",
    ),
    ("strip_path = true", "x", "/x"),
    (
        "strip_path = true",
        "https://up.test/mounted/x",
        "http://up.test/x",
    ),
    (
        "strip_path = true",
        "http://UP.test:80/mounted",
        "http://UP.test:80/",
    ),
    ("host_header = 'upstream'", "/mounted/x", "/mounted/x"),
    (
        "host_header = 'upstream'",
        "https://up.test/mounted/x",
        "http://{upstream_authority}/mounted/x",
    ),
    (
        "host_header = 'oa.internal:81'",
        "https://up.test/mounted/x",
        "http://oa.internal:81/mounted/x",
    ),
    (
        "strip_path = true\nhost_header = 'upstream'",
        "https://up.test/mounted/x",
        "http://{upstream_authority}/x",
    ),
    (
        "strip_path = true\nhost_header = 'upstream'",
        "http://up.test/mounted/",
        "http://{upstream_authority}/",
    ),
    (
        "strip_path = true\nhost_header = 'oa.internal'",
        "https://up.test/mounted/x?y",
        "http://oa.internal/x?y",
    ),
    (
        "strip_path = true\nhost_header = 'oa.internal'",
        "/mounted/x",
        "/x",
    ),
];

#[tokio::test]
async fn a_destination_header_is_rewritten_to_the_urls_of_the_application() {
    let upstream = ok_upstream().await;
    let upstream_authority = upstream.url().trim_start_matches("http://").to_owned();
    for (lines, sent, expected) in REWRITTEN {
        let menshen =
            menshen_in_front_of(upstream.url(), &format!("path = '/mounted'\n{lines}")).await;
        let expected = expected.replace("{upstream_authority}", &upstream_authority);
        let destination = format!("Destination: {sent}\r\nOverwrite: F\r\n");
        let answer = wire::send(menshen.address(), &request("/mounted/a", &destination)).await;
        assert_eq!(answer.status, 200, "{lines:?} {sent}");
        let response = upstream.last_request();
        assert_eq!(
            response.single_header("destination"),
            Some(expected.as_str()),
            "{lines:?} {sent}"
        );
        assert_eq!(response.single_header("overwrite"), Some("F"));
        let list =
            format!("If: <{sent}>  (<urn:uuid:1> [\"</mounted/x>\"])\t(Not <DAV:no-lock>)\r\n");
        let answer = wire::send(menshen.address(), &request("/mounted/a", &list)).await;
        assert_eq!(answer.status, 200, "{lines:?} {sent}");
        let expected =
            format!("<{expected}>  (<urn:uuid:1> [\"</mounted/x>\"])\t(Not <DAV:no-lock>)");
        assert_eq!(
            upstream.last_request().single_header("if"),
            Some(expected.as_str()),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn an_if_header_without_urls_is_unchanged() {
    let upstream = ok_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "path = '/mounted'\nstrip_path = true").await;
    for value in [
        "(<urn:uuid:1>)",
        "([\"a\"] <urn:uuid:1>) (Not <DAV:no-lock>)",
    ] {
        let lines = format!("If: {value}\r\n");
        let answer = wire::send(menshen.address(), &request("/mounted/a", &lines)).await;
        assert_eq!(answer.status, 200, "{value}");
        assert_eq!(upstream.last_request().single_header("if"), Some(value));
        assert_eq!(upstream.last_request().single_header("destination"), None);
    }
}

#[tokio::test]
async fn a_destination_in_another_application_is_refused() {
    let (one, two) = (ok_upstream().await, ok_upstream().await);
    let other = |more: &str| {
        let url = two.url();
        format!(
            "[[route]]\nname = \"two\"\nhost = \"two.test\"\naccess = \"public\"\n\
             upstream = [\"{url}\"]\n{more}"
        )
    };
    let same = format!(
        "[[route]]\nname = \"alias\"\nhost = \"alias.test\"\naccess = \"public\"\n\
         upstream = [\"{}\"]\n",
        one.url()
    );
    let routes = format!("{}{}{same}", public_route(one.url(), ""), other(""));
    let menshen = Setup::default().routes(&routes).start().await;
    for (destination, status) in [
        ("http://up.test/x", 200),
        // The same application under another host name.
        ("http://alias.test/x", 200),
        ("http://two.test/x", 400),
        ("https://two.test/x", 400),
        ("http://none.test/x", 404),
    ] {
        let lines = format!("Destination: {destination}\r\n");
        let answer = wire::send(menshen.address(), &request("/a", &lines)).await;
        assert_eq!(answer.status, status, "{destination}");
    }
    assert_eq!(one.received().len(), 2);
    assert!(two.received().is_empty());
}
