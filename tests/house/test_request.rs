//! `TestRequest`: a request of arbitrary bytes; and session cookies of people who sign in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::browser::{Browser, navigation_headers};
use crate::setup::{Menshen, SSO_URL};
use crate::wire::{self, Answer};

/// An HTTP/1.1 request with any target, headers and body.
#[derive(Clone, Debug)]
pub(crate) struct TestRequest {
    method: String,
    target: Vec<u8>,
    host: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl TestRequest {
    pub(crate) fn get(target: &str) -> Self {
        Self::with_target(target.as_bytes())
    }

    /// A GET request whose target may be any bytes.
    pub(crate) fn with_target(target: &[u8]) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_vec(),
            host: "sso.test".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        Self { method, ..self }
    }

    pub(crate) fn host(self, host: &str) -> Self {
        let host = host.to_owned();
        Self { host, ..self }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.bytes(name, value.as_bytes())
    }

    /// Adds a header whose value may be any bytes.
    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        let add = |request: Self, (name, value): &(&str, &str)| request.header(name, value);
        headers.iter().fold(self, add)
    }

    /// Adds the session cookie of a site on plain http.
    pub(crate) fn session(self, cookie: &str) -> Self {
        self.header("Cookie", &format!("menshen={cookie}"))
    }

    /// Adds the headers with which a browser opens a page.
    pub(crate) fn navigating(self) -> Self {
        self.headers(&navigation_headers())
    }

    /// Sets the bytes after the head. Adds no `Content-Length`.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let body = body.to_vec();
        Self { body, ..self }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(format!(" HTTP/1.1\r\nHost: {}\r\n", self.host).as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(crate) async fn send_to(&self, address: SocketAddr) -> Answer {
        wire::send(address, &self.to_bytes()).await
    }

    pub(crate) async fn send(&self, menshen: &Menshen) -> Answer {
        self.send_to(menshen.address()).await
    }
}

/// The session cookie of a person who opens the path `start` of [`SSO_URL`] and signs in.
pub(crate) async fn session_cookie_after(menshen: &Menshen, start: &str, userid: &str) -> String {
    let mut browser = Browser::new(menshen);
    let page = browser.sign_in(&format!("{SSO_URL}{start}"), userid).await;
    let cookie = browser.cookie("menshen");
    let cookie = cookie.unwrap_or_else(|| panic!("{}: {}", page.url, page.answer.text()));
    cookie.value.clone()
}

/// The session cookie of a person who signs in.
pub(crate) async fn session_cookie_of(menshen: &Menshen, userid: &str) -> String {
    session_cookie_after(menshen, "/echo", userid).await
}

/// Repeats a request until its answer is accepted, for at most a minute.
pub(crate) async fn repeat_until(
    request: &TestRequest,
    at: SocketAddr,
    accepted: impl Fn(&Answer) -> bool,
) -> Answer {
    let start = Instant::now();
    loop {
        let answer = request.send_to(at).await;
        if accepted(&answer) {
            return answer;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "still {}: {}",
            answer.status,
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
