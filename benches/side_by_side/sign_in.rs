//! Signs in as a browser does, through the simulated WeCom.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::AnyResult;
use crate::wecom::WeCom;

/// How many redirects are followed.
const REDIRECTS_MAX: usize = 8;

/// Signs a user in and returns the session cookie as `name=value`.
pub(crate) async fn session_cookie(menshen: SocketAddr, userid: &str) -> AnyResult<String> {
    let mut browser = Browser::default();
    let start = format!("http://{menshen}/.menshen/start?connector=corp&mode=web&rd=%2Fboard");
    let mut url = Url::parse(&start)?;
    for _ in 0..REDIRECTS_MAX {
        let answer = browser.get(&url).await?;
        if let Some(session) = browser.cookies.iter().find(|(name, _)| name == "menshen") {
            return Ok(format!("{}={}", session.0, session.1));
        }
        let Some(location) = answer.header("location") else {
            return Err(format!("the login ended at {url}: {}", answer.0).into());
        };
        let next = url.join(location)?;
        let is_menshen = |next: &Url| next.port() == Some(menshen.port());
        url = match is_menshen(&next) {
            true => next,
            // The login page of the simulated WeCom: choose the user.
            false => Url::parse(&WeCom::choose(next.as_str(), userid))?,
        };
    }
    Err(format!("the login did not end after {REDIRECTS_MAX} redirects").into())
}

/// A browser that keeps cookies and sends them to every host.
#[derive(Debug, Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

/// A response as text.
struct Response(String);

impl Response {
    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self
            .0
            .split("\r\n")
            .skip(1)
            .take_while(|line| !line.is_empty());
        lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Browser {
    async fn get(&mut self, url: &Url) -> io::Result<Response> {
        let authority = url.authority();
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/html\r\nConnection: close\r\n\
             User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0\r\n\
             Cookie: {}\r\n\r\n",
            pairs.join("; ")
        );
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(1 << 20).read_to_end(&mut bytes).await?;
        let answer = Response(String::from_utf8_lossy(&bytes).into_owned());
        for (name, value) in answer.headers() {
            let pair = value
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='));
            if let (true, Some((key, value))) = (name.eq_ignore_ascii_case("set-cookie"), pair) {
                self.cookies.retain(|(known, _)| known != key);
                if !value.is_empty() {
                    self.cookies.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(answer)
    }
}
