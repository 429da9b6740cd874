//! `Browser`: the parts of a browser that a login needs: cookies, redirects and Fetch Metadata.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use menshen::face::page::{Cause, Lang};
use url::Url;

use crate::setup::Menshen;
use crate::wecom::WeCom;
use crate::wire::{self, Answer};

/// More redirects than this are a loop, and the test fails.
const REDIRECTS_MAX: usize = 12;

/// The browser of one person. It connects to menshen for every host name, and to the host of a URL
/// only if that is an IP address.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    menshen: SocketAddr,
    jar: Vec<Cookie>,
    user_agent: String,
    /// Sent with every request to menshen.
    pub(crate) extra_headers: Vec<(String, String)>,
    /// Every URL that was requested, oldest first.
    pub(crate) visited: Vec<String>,
    /// Whether service workers fetch the pages, which changes the Fetch Metadata.
    has_service_workers: bool,
}

/// A stored cookie (RFC 6265bis).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cookie {
    pub(crate) host: String,
    /// Whether it has a `Domain`, and so is sent to every host below `host`, too.
    pub(crate) for_subdomains: bool,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) secure: bool,
    /// In lower case; empty if the cookie has no `SameSite`.
    pub(crate) same_site: String,
}

/// The page at the end of a chain of redirects.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

impl Page {
    /// The cause that this page states, if it is an error page.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.answer.cause()
    }
}

impl Answer {
    /// The cause that this page states, if it is an error page.
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

    /// This browser with a service worker on every host that fetches its pages.
    pub(crate) fn behind_a_service_worker(self) -> Self {
        Self {
            has_service_workers: true,
            ..self
        }
    }

    /// This browser with another `User-Agent`.
    pub(crate) fn with_user_agent(self, user_agent: &str) -> Self {
        Self {
            user_agent: user_agent.to_owned(),
            ..self
        }
    }

    /// This browser behind a proxy that terminates TLS and that menshen trusts.
    pub(crate) fn over_https(mut self) -> Self {
        self.extra_headers
            .push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
        self
    }

    /// This browser with its cookies, when requests reach another node.
    pub(crate) fn moved_to(self, menshen: SocketAddr) -> Self {
        Self { menshen, ..self }
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

    /// Sends a cookie to every host below its own, too.
    pub(crate) fn send_to_subdomains(&mut self, name: &str) {
        let named = self.jar.iter_mut().filter(|cookie| cookie.name == name);
        named.for_each(|cookie| cookie.for_subdomains = true);
    }

    /// Sends a cookie with no form of another site, as a browser that blocks cookies of third parties.
    pub(crate) fn withhold_from_other_sites(&mut self, name: &str) {
        let named = self.jar.iter_mut().filter(|cookie| cookie.name == name);
        named.for_each(|cookie| cookie.same_site = "lax".to_owned());
    }

    pub(crate) fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.store_cookie(host, &format!("{name}={value}; Path=/"));
    }

    /// Navigates to a URL and follows no redirect.
    pub(crate) async fn visit(&mut self, url: &str) -> Answer {
        let mut headers = navigation_headers();
        if self.has_service_workers {
            headers[2] = ("Sec-Fetch-Dest", "empty");
            headers[3] = ("Sec-Fetch-Site", "same-origin");
        }
        self.send("GET", url, &headers, b"").await
    }

    /// Navigates to a URL and follows redirects to a page.
    pub(crate) async fn follow(&mut self, url: &str) -> Page {
        self.follow_until(url, |_| false).await
    }

    /// The same, but stops before a URL for which `stop` is true.
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
                    // An empty fragment only keeps the previous fragment from being inherited.
                    url = next.trim_end_matches('#').to_owned();
                }
                _ => return Page { url, answer },
            }
        }
        panic!("more than {REDIRECTS_MAX} redirects: {:?}", self.visited);
    }

    /// Navigates to a URL without a session and returns the URL of WeCom's login page.
    pub(crate) async fn open_login_page(&mut self, url: &str) -> String {
        let page = self
            .follow_until(url, |next| next.contains("/wwlogin/sso/login"))
            .await;
        if page.url.contains("/wwlogin/sso/login") {
            return page.url;
        }
        // menshen's sign-in page has a button for the connector.
        let start = href(&page.answer.text(), "/start?").unwrap_or_else(|| {
            panic!(
                "no link to the login page on {}: {}",
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

    /// Chooses a member on WeCom's login page and returns the callback URL to which WeCom redirects.
    pub(crate) async fn choose_person(&mut self, login_page: &str, userid: &str) -> String {
        let answer = self.visit(&WeCom::choose(login_page, userid)).await;
        answer
            .header("location")
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .to_owned()
    }

    /// A whole login: from a URL that needs a session to the page at the end.
    pub(crate) async fn sign_in(&mut self, url: &str, userid: &str) -> Page {
        let login_page = self.open_login_page(url).await;
        let callback_url = self.choose_person(&login_page, userid).await;
        self.follow(&callback_url).await
    }

    /// Submits the only form of a page, as its script does, and follows redirects to a page.
    ///
    /// The form is submitted to another site, so only cookies with `SameSite=None` are sent.
    pub(crate) async fn submit(&mut self, page: &Page) -> Page {
        let html = page.answer.text();
        let unescape = |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<");
        let unescape = |text: &str| unescape(text).replace("&amp;", "&");
        let attribute = |text: &str, start: &str| {
            let rest = text.split_once(start)?.1;
            rest.split_once('"').map(|(value, _)| unescape(value))
        };
        let action = attribute(&html, "action=\"").unwrap_or_else(|| panic!("no form: {html}"));
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for input in html.split("<input").skip(1) {
            let name = attribute(input, "name=\"").expect("a field has a name");
            body.append_pair(&name, &attribute(input, "value=\"").unwrap_or_default());
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
        let is_withheld = |cookie: &Cookie| cookie.same_site != "none";
        let (withheld, sent): (Vec<_>, _) = self.jar.drain(..).partition(is_withheld);
        self.jar = sent;
        let answer = self
            .send("POST", &action, &headers, body.finish().as_bytes())
            .await;
        let is_replaced = |old: &Cookie, jar: &[Cookie]| {
            jar.iter()
                .any(|new| new.name == old.name && new.host == old.host)
        };
        for cookie in withheld {
            if !is_replaced(&cookie, &self.jar) {
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
        // The target comes from the text, because parsing normalizes it.
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
        let cookies = self.cookie_header(&host, parsed.scheme() == "https");
        if !cookies.is_empty() {
            add("Cookie", &cookies);
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
        let is_sent = |cookie: &&Cookie| {
            let has_host =
                cookie.host == host || (cookie.for_subdomains && is_below(host, &cookie.host));
            has_host && (https || !cookie.secure)
        };
        let pairs = self.jar.iter().filter(is_sent);
        pairs
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Stores or deletes the cookie of a `Set-Cookie` line of this host.
    fn store_cookie(&mut self, host: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let attributes: BTreeMap<String, String> = parts
            .map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")))
            .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
            .collect();
        let secure = attributes.contains_key("secure");
        let domain = attributes
            .get("domain")
            .map(|domain| domain.trim_start_matches('.').to_owned());
        // Browsers ignore a cookie that violates its prefix, also one that deletes.
        let is_at_root = attributes.get("path").is_some_and(|path| path == "/");
        let may_have_host_prefix = secure && domain.is_none() && is_at_root;
        if (name.starts_with("__Host-") && !may_have_host_prefix)
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
        if attributes.get("max-age").is_none_or(|age| age != "0") {
            let (name, value) = (name.to_owned(), value.to_owned());
            let same_site = attributes.get("samesite").map_or("", String::as_str);
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

/// Whether a host is the domain or below it; a browser accepts and sends a domain's cookies only there.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The headers of a navigation.
pub(crate) fn navigation_headers() -> [(&'static str, &'static str); 4] {
    [
        ("Accept", "text/html,application/xhtml+xml"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "none"),
    ]
}

/// The headers of a navigation as lines of an HTTP/1.1 request.
pub(crate) fn navigation_lines() -> String {
    let line = |(name, value)| format!("{name}: {value}\r\n");
    navigation_headers().map(line).concat()
}

/// The first link of a page that contains `part`, unescaped.
pub(crate) fn href(html: &str, part: &str) -> Option<String> {
    let links = html.split(['"', '\'']).filter(|text| text.contains(part));
    links
        .map(|text| text.replace("&amp;", "&").replace("&#38;", "&"))
        .next()
}
