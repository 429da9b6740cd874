//! `Browser`: as much of a browser as a login needs: cookies by the book, redirects, Fetch Metadata.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use menshen::face::page::{Cause, Lang};
use url::Url;

use crate::setup::Menshen;
use crate::wecom::WeCom;
use crate::wire::{self, Answer};

/// How many redirects are followed before a test fails: more is a loop.
const REDIRECTS_MAX: usize = 12;

/// One person's browser. Every host name of a test leads to menshen; addresses lead where they
/// say.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    menshen: SocketAddr,
    jar: Vec<Cookie>,
    user_agent: String,
    /// Sent with every request to menshen.
    pub(crate) extra_headers: Vec<(String, String)>,
    /// Every address that was visited, oldest first.
    pub(crate) visited: Vec<String>,
    /// Whether every page's service worker fetches what its page asks for.
    has_service_workers: bool,
}

/// One cookie as a browser keeps it (RFC 6265bis).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cookie {
    pub(crate) host: String,
    pub(crate) for_subdomains: bool,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) secure: bool,
    /// Lower case; empty when the cookie says nothing.
    pub(crate) same_site: String,
}

/// Where a walk ended.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

impl Page {
    /// The dead end this page tells of.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.answer.cause()
    }
}

impl Answer {
    /// The dead end this page tells of.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let html = self.text();
        let title = html.split("<title>").nth(1)?.split(" · ").next()?;
        Cause::ALL.into_iter().find(|cause| {
            [Lang::Zh, Lang::En]
                .iter()
                .any(|l| cause.title(*l) == title)
        })
    }
}

impl Browser {
    pub(crate) fn new(menshen: &Menshen) -> Self {
        Self::at(menshen.address())
    }

    pub(crate) fn at(menshen: SocketAddr) -> Self {
        Self {
            menshen,
            jar: Vec::new(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".to_owned(),
            extra_headers: Vec::new(),
            visited: Vec::new(),
            has_service_workers: false,
        }
    }

    /// The same with a service worker on every host that fetches what its pages ask for.
    pub(crate) fn behind_a_service_worker(self) -> Self {
        Self {
            has_service_workers: true,
            ..self
        }
    }

    /// The same with another User-Agent.
    pub(crate) fn with_user_agent(self, user_agent: &str) -> Self {
        Self {
            user_agent: user_agent.to_owned(),
            ..self
        }
    }

    /// Behind a TLS-ending proxy that menshen trusts.
    pub(crate) fn over_https(mut self) -> Self {
        self.extra_headers
            .push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
        self
    }

    pub(crate) fn cookies(&self) -> &[Cookie] {
        &self.jar
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&Cookie> {
        self.jar.iter().find(|cookie| cookie.name == name)
    }

    pub(crate) fn delete_cookies(&mut self, name_part: &str) {
        self.jar.retain(|cookie| !cookie.name.contains(name_part));
    }

    /// Lets a cookie reach every host below its own.
    pub(crate) fn send_to_subdomains(&mut self, name: &str) {
        let named = self.jar.iter_mut().filter(|cookie| cookie.name == name);
        named.for_each(|cookie| cookie.for_subdomains = true);
    }

    pub(crate) fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.store_cookie(host, &format!("{name}={value}; Path=/"));
    }

    /// Goes to an address, as a person does; follows nothing.
    pub(crate) async fn visit(&mut self, url: &str) -> Answer {
        let mut headers = navigation_headers();
        if self.has_service_workers {
            headers[2] = ("Sec-Fetch-Dest", "empty");
            headers[3] = ("Sec-Fetch-Site", "same-origin");
        }
        self.send("GET", url, &headers, b"").await
    }

    /// Goes to an address and follows redirects until a page.
    pub(crate) async fn follow(&mut self, url: &str) -> Page {
        self.follow_until(url, |_| false).await
    }

    /// The same, but stops before an address that `stop` knows.
    pub(crate) async fn follow_until(&mut self, url: &str, stop: impl Fn(&str) -> bool) -> Page {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS_MAX {
            let answer = self.visit(&url).await;
            let next = answer.header("location").map(|to| {
                Url::parse(&url)
                    .unwrap()
                    .join(to)
                    .unwrap_or_else(|_| panic!("to {to}"))
                    .to_string()
            });
            match next {
                Some(next) if (300..400).contains(&answer.status) => {
                    if stop(&next) {
                        return Page { url: next, answer };
                    }
                    // An empty fragment only ends one that would be inherited.
                    url = next.trim_end_matches('#').to_owned();
                }
                _ => return Page { url, answer },
            }
        }
        panic!("more than {REDIRECTS_MAX} redirects: {:?}", self.visited);
    }

    /// Goes to an address as a stranger and stops at the source's page.
    #[expect(
        clippy::wrong_self_convention,
        reason = "the browser goes to the source; nothing is converted"
    )]
    pub(crate) async fn open_login_page(&mut self, url: &str) -> String {
        let page = self
            .follow_until(url, |next| next.contains("/wwlogin/sso/login"))
            .await;
        if page.url.contains("/wwlogin/sso/login") {
            return page.url;
        }
        // The chooser: one button.
        let start = href(&page.answer.text(), "/start?").unwrap_or_else(|| {
            panic!(
                "no way to the source at {}: {}",
                page.url,
                page.answer.text()
            )
        });
        let start = Url::parse(&page.url)
            .unwrap()
            .join(&start)
            .unwrap()
            .to_string();
        self.follow_until(&start, |next| next.contains("/wwlogin/sso/login"))
            .await
            .url
    }

    /// Chooses a member at the source's page; answers where the source sends the browser back to.
    pub(crate) async fn choose_person(&mut self, login_page: &str, userid: &str) -> String {
        let answer = self.visit(&WeCom::choose(login_page, userid)).await;
        answer
            .header("location")
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .to_owned()
    }

    /// A whole login from the address a stranger types to the page they see.
    pub(crate) async fn sign_in(&mut self, url: &str, userid: &str) -> Page {
        let source = self.open_login_page(url).await;
        let back = self.choose_person(&source, userid).await;
        self.follow(&back).await
    }

    /// Submits the only form of a page, as its script does, and follows redirects until a page.
    ///
    /// The form goes to another site: only cookies that say `SameSite=None` go with it.
    pub(crate) async fn submit(&mut self, page: &Page) -> Page {
        let html = page.answer.text();
        let unescape = |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<");
        let unescape = |text: &str| unescape(text).replace("&amp;", "&");
        let after = |text: &str, mark: &str| {
            let rest = text.split_once(mark)?.1;
            rest.split_once('"').map(|(value, _)| unescape(value))
        };
        let action = after(&html, "action=\"").unwrap_or_else(|| panic!("no form: {html}"));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for input in html.split("<input").skip(1) {
            let name = after(input, "name=\"").expect("a field has a name");
            body.append_pair(&name, &after(input, "value=\"").unwrap_or_default());
        }
        let origin = Url::parse(&page.url)
            .unwrap()
            .origin()
            .ascii_serialization();
        let headers = [
            ("Accept", "text/html"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        let kept_back = |cookie: &Cookie| cookie.same_site != "none";
        let (back, sent): (Vec<_>, _) = self.jar.drain(..).partition(kept_back);
        self.jar = sent;
        let answer = self
            .send("POST", &action, &headers, body.finish().as_bytes())
            .await;
        let was_set = |old: &Cookie, jar: &[Cookie]| {
            jar.iter()
                .any(|new| new.name == old.name && new.host == old.host)
        };
        for cookie in back {
            if !was_set(&cookie, &self.jar) {
                self.jar.push(cookie);
            }
        }
        match answer.header("location") {
            Some(to) if (300..400).contains(&answer.status) => {
                let next = Url::parse(&action).unwrap().join(to).unwrap();
                self.follow(next.as_str()).await
            }
            _ => Page {
                url: action,
                answer,
            },
        }
    }

    /// Sends one request with the cookies of its host.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.visited.push(url.to_owned());
        let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let host = parsed.host_str().unwrap().to_owned();
        let (address, to_menshen) = match host.parse() {
            Ok(ip) => (SocketAddr::new(ip, parsed.port().unwrap_or(80)), false),
            Err(_) => (self.menshen, true),
        };
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let start = url.find("://").unwrap() + 3;
        let target = url[start..].find('/').map_or("/", |at| &url[start + at..]);
        let target = target.split('#').next().unwrap();
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n");
        let mut add = |name: &str, value: &str| request.push_str(&format!("{name}: {value}\r\n"));
        add("User-Agent", &self.user_agent);
        if to_menshen {
            self.extra_headers
                .iter()
                .for_each(|(name, value)| add(name, value));
        }
        let own = self.cookie_header(&host, parsed.scheme() == "https");
        if !own.is_empty() {
            add("Cookie", &own);
        }
        headers.iter().for_each(|(name, value)| add(name, value));
        if !body.is_empty() || method == "POST" {
            add("Content-Length", &body.len().to_string());
        }
        add("Connection", "close");
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let answer = wire::send(address, &bytes).await;
        let set: Vec<_> = answer
            .header_values("set-cookie")
            .map(str::to_owned)
            .collect();
        set.iter().for_each(|line| self.store_cookie(&host, line));
        answer
    }

    fn cookie_header(&self, host: &str, https: bool) -> String {
        let mine = |cookie: &&Cookie| {
            let reaches =
                cookie.host == host || (cookie.for_subdomains && is_below(host, &cookie.host));
            reaches && (https || !cookie.secure)
        };
        let pairs = self.jar.iter().filter(mine);
        pairs
            .map(|c| format!("{}={}", c.name, c.value))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn store_cookie(&mut self, host: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let flags: BTreeMap<String, String> = parts
            .map(|flag| flag.split_once('=').unwrap_or((flag, "")))
            .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
            .collect();
        let secure = flags.contains_key("secure");
        let domain = flags
            .get("domain")
            .map(|domain| domain.trim_start_matches('.').to_owned());
        // Browsers drop what breaks its own prefix, deletions included.
        let root = flags.get("path").is_some_and(|path| path == "/");
        let host_prefix_kept = secure && domain.is_none() && root;
        if (name.starts_with("__Host-") && !host_prefix_kept)
            || (name.starts_with("__Secure-") && !secure)
        {
            return;
        }
        let for_subdomains = domain.is_some();
        if domain
            .as_ref()
            .is_some_and(|domain| !is_below(host, domain))
        {
            return;
        }
        let host = domain.unwrap_or_else(|| host.to_owned());
        self.jar
            .retain(|cookie| !(cookie.name == name && cookie.host == host));
        if flags.get("max-age").is_none_or(|age| age != "0") {
            let (name, value) = (name.to_owned(), value.to_owned());
            let same_site = flags.get("samesite").map_or("", String::as_str);
            self.jar.push(Cookie {
                host,
                for_subdomains,
                name,
                value,
                secure,
                same_site: same_site.to_lowercase(),
            });
        }
    }
}

/// Whether a host is a domain or stands below it: another's cookies a browser neither takes nor sends.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The headers of a person going somewhere.
pub(crate) fn navigation_headers() -> [(&'static str, &'static str); 4] {
    [
        ("Accept", "text/html,application/xhtml+xml"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "none"),
    ]
}

/// The first link of a page that holds `part`, unescaped.
pub(crate) fn href(html: &str, part: &str) -> Option<String> {
    let links = html.split(['"', '\'']).filter(|text| text.contains(part));
    links
        .map(|text| text.replace("&amp;", "&").replace("&#38;", "&"))
        .next()
}
