//! `TestRequest`: one request put together byte by byte, and people who are signed in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::browser::{Browser, navigation};
use crate::setup::{HOME, Menshen};
use crate::wire::{self, Answer};

/// One request as it will stand on the wire.
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
        Self::raw(target.as_bytes())
    }

    /// A target of any bytes.
    pub(crate) fn raw(target: &[u8]) -> Self {
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

    /// A header whose value need not be text.
    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        let add = |ask: Self, (name, value): &(&str, &str)| ask.header(name, value);
        headers.iter().fold(self, add)
    }

    /// With the session cookie of a site on plain http.
    pub(crate) fn session(self, cookie: &str) -> Self {
        self.header("Cookie", &format!("menshen={cookie}"))
    }

    /// As a person going somewhere.
    pub(crate) fn navigating(self) -> Self {
        self.headers(&navigation())
    }

    /// What is sent after the head, as it stands there.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let body = body.to_vec();
        Self { body, ..self }
    }

    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
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

    pub(crate) async fn at(&self, address: SocketAddr) -> Answer {
        wire::raw(address, &self.on_the_wire()).await
    }

    pub(crate) async fn send(&self, menshen: &Menshen) -> Answer {
        self.at(menshen.address()).await
    }
}

/// The session cookie of somebody who logs in at `start`, a path of the home host.
pub(crate) async fn signed_in_by(menshen: &Menshen, start: &str, userid: &str) -> String {
    let mut browser = Browser::new(menshen);
    let page = browser.sign_in(&format!("{HOME}{start}"), userid).await;
    let cookie = browser.cookie("menshen");
    let cookie = cookie.unwrap_or_else(|| panic!("{}: {}", page.url, page.answer.text()));
    cookie.value.clone()
}

/// The session cookie of somebody who logs in.
pub(crate) async fn signed_in(menshen: &Menshen, userid: &str) -> String {
    signed_in_by(menshen, "/echo", userid).await
}

/// Asks until the answer is as it should be, for a minute at most.
pub(crate) async fn until(
    ask: &TestRequest,
    at: SocketAddr,
    good: impl Fn(&Answer) -> bool,
) -> Answer {
    let start = Instant::now();
    loop {
        let answer = ask.at(at).await;
        if good(&answer) {
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
