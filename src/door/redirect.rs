//! The responses of a listener with `redirect_https`.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};

use super::OwnFiles;
use crate::request::Body;
use crate::request::head::parse_host;
use crate::request::target;

/// The path of ACME challenges (RFC 8555 §8.3), which must not be redirected.
const ACME_CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The file with this path, because the check of who owns a domain may use http only; otherwise the redirect.
pub(super) fn file_or_redirect<B>(
    request: &Request<B>,
    files: &OwnFiles,
    port: Option<u16>,
) -> Response<Body> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let content = match is_read && !target::is_refused(request.uri()) {
        true => files.content(request.uri().path()),
        false => None,
    };
    match content {
        Some(_) if request.method() == Method::HEAD => file_response(String::new()),
        Some(content) => file_response(content),
        None => to_https(request, port),
    }
}

fn file_response(content: String) -> Response<Body> {
    let body = Full::new(Bytes::from(content))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// A redirect to the same URL at https and `port`, or 443. Its status is 308, which preserves the method
/// (RFC 9110 §15.4.9).
fn to_https<B>(request: &Request<B>, port: Option<u16>) -> Response<Body> {
    if request.uri().path().starts_with(ACME_CHALLENGES) {
        return empty_response(StatusCode::NOT_FOUND);
    }
    if target::is_refused(request.uri()) {
        return empty_response(StatusCode::BAD_REQUEST);
    }
    let Some(location) = location(request, port) else {
        return empty_response(StatusCode::BAD_REQUEST);
    };
    let mut response = empty_response(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, location);
    response
}

fn location<B>(request: &Request<B>, port: Option<u16>) -> Option<HeaderValue> {
    let mut values = request.headers().get_all(HOST).iter();
    let (header, None) = (values.next(), values.next()) else {
        return None;
    };
    let header = header.map(|value| value.to_str().ok().and_then(|text| parse_host(text).ok()));
    let authority = request
        .uri()
        .authority()
        .map(|name| parse_host(name.as_str()).ok());
    let (host, _) = match (authority, header) {
        (Some(host), Some(other)) if host == other => host,
        (Some(host), None) | (None, Some(host)) => host,
        (Some(_), Some(_)) | (None, None) => None,
    }?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    // The target of OPTIONS may be `*`.
    let path = if path.starts_with('/') { path } else { "/" };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()
}

fn empty_response(status: StatusCode) -> Response<Body> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status and the `Location` of the response to a request with these `Host` headers.
    fn response_to(uri: &str, hosts: &[&str]) -> (u16, Option<String>) {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let response = to_https(&request.body(()).unwrap(), None);
        let location = response.headers().get(LOCATION);
        let location = location.map(|url| url.to_str().unwrap().to_owned());
        (response.status().as_u16(), location)
    }

    #[test]
    fn a_request_is_redirected_to_the_same_url_at_https() {
        let redirect_to = |url: &str| (308, Some(url.to_owned()));
        assert_eq!(
            response_to("/a?b=c", &["OA.Example:80"]),
            redirect_to("https://oa.example/a?b=c")
        );
        assert_eq!(
            response_to("//evil.example/", &["a"]),
            redirect_to("https://a//evil.example/")
        );
        assert_eq!(response_to("*", &["a"]), redirect_to("https://a/"));
        assert_eq!(
            response_to("http://a/x", &["a"]),
            redirect_to("https://a/x")
        );
    }

    #[test]
    fn the_redirect_has_the_port_of_the_external_url() {
        let request = Request::builder()
            .uri("/a?b")
            .header(HOST, "oa.example:8080");
        let response = to_https(&request.body(()).unwrap(), Some(8443));
        let location = response.headers().get(LOCATION).unwrap();
        assert_eq!(location, "https://oa.example:8443/a?b");
    }

    #[test]
    fn a_request_without_a_valid_host_is_refused() {
        for hosts in [&[][..], &["a", "b"], &["a b"], &["a/@evil"], &["a\\b"]] {
            assert_eq!(response_to("/", hosts), (400, None), "{hosts:?}");
        }
        assert_eq!(response_to("http://a/", &["b"]), (400, None));
    }

    #[test]
    fn an_acme_challenge_is_not_redirected() {
        assert_eq!(
            response_to("/.well-known/acme-challenge/x", &["a"]),
            (404, None)
        );
    }
}
