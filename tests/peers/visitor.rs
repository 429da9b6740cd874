//! An HTTP client with cookies, redirects and forms, in place of a browser.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use menshen::face::page::{Cause, Lang};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Method};
use url::Url;

/// More redirects than this are a loop.
const HOPS_MAX: usize = 12;

/// A client with a cookie jar.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    client: reqwest::Client,
    jar: Vec<Kept>,
    /// Every visited URL, oldest first.
    pub(crate) visited: Vec<Url>,
}

/// A cookie; cookies ignore ports.
#[derive(Clone, Debug)]
struct Kept {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// A response that is not followed any further.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        Self::with(|client| client)
    }

    /// A client that resolves this name to this machine and accepts every certificate.
    pub(crate) fn trusting(name: &str) -> Self {
        Self::trusting_at(name, Ipv4Addr::LOCALHOST)
    }

    /// Like [`Self::trusting`] with another loopback address.
    pub(crate) fn trusting_at(name: &str, address: Ipv4Addr) -> Self {
        Self::with(|client| {
            client
                .resolve(name, SocketAddr::from((address, 0)))
                .tls_danger_accept_invalid_certs(true)
        })
    }

    fn with(more: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        menshen::keys::install_crypto();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none());
        Self {
            client: more(client).build().unwrap(),
            jar: Vec::new(),
            visited: Vec::new(),
        }
    }

    /// Opens a URL and follows redirects.
    pub(crate) async fn open(&mut self, url: &str) -> Page {
        let page = self.visit(url).await;
        self.follow(page).await
    }

    /// Opens a URL without following redirects.
    pub(crate) async fn visit(&mut self, url: &str) -> Page {
        self.send(Method::GET, Url::parse(url).unwrap(), &[]).await
    }

    /// Sends an empty form without following redirects.
    pub(crate) async fn post(&mut self, url: &str) -> Page {
        self.send(Method::POST, Url::parse(url).unwrap(), &[]).await
    }

    /// The status of a URL; its cookies are not kept.
    pub(crate) async fn peek(&self, url: &str) -> u16 {
        self.clone().visit(url).await.status
    }

    /// Whether a server answers at this URL.
    pub(crate) async fn finds(&self, url: &str) -> bool {
        let answer = self.client.get(url).send().await;
        answer.is_ok_and(|answer| answer.status() != 404)
    }

    /// Submits the page's form with these fields and follows redirects.
    pub(crate) async fn submit(&mut self, page: &Page, filled: &[(&str, &str)]) -> Page {
        let page = self.submit_only(page, filled).await;
        self.follow(page).await
    }

    /// Submits the page's form without following redirects.
    pub(crate) async fn submit_only(&mut self, page: &Page, filled: &[(&str, &str)]) -> Page {
        let (action, mut fields) = page.form();
        fields.retain(|(name, _)| filled.iter().all(|(filled, _)| filled != name));
        let filled = filled.iter();
        fields.extend(filled.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.send(Method::POST, action, &fields).await
    }

    /// The `Cookie` header for a URL.
    pub(crate) fn cookies(&self, url: &Url) -> String {
        let mine = |kept: &&Kept| {
            Some(kept.host.as_str()) == url.host_str() && url.path().starts_with(&kept.path)
        };
        let pairs = self.jar.iter().filter(mine);
        let pairs = pairs.map(|kept| format!("{}={}", kept.name, kept.value));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Whether the jar has this cookie.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.jar.iter().any(|kept| kept.name == name)
    }

    /// Follows redirects up to the one that leads to this path.
    pub(crate) async fn follow_until(&mut self, mut page: Page, path: &str) -> Url {
        for _ in 0..HOPS_MAX {
            let next = page.leads_to();
            let next = next.unwrap_or_else(|| panic!("not {path}: {} {}", page.url, page.body));
            if next.path() == path {
                return next;
            }
            page = self.send(Method::GET, next, &[]).await;
        }
        panic!("more than {HOPS_MAX} redirects: {:?}", self.visited);
    }

    async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..HOPS_MAX {
            let Some(next) = page.leads_to() else {
                return page;
            };
            page = self.send(Method::GET, next, &[]).await;
        }
        panic!("more than {HOPS_MAX} redirects: {:?}", self.visited);
    }

    async fn send(&mut self, method: Method, url: Url, form: &[(String, String)]) -> Page {
        self.visited.push(url.clone());
        let request = self.client.request(method.clone(), url.clone());
        let mut request = request
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        let cookies = self.cookies(&url);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if method == Method::POST {
            request = request
                .header("origin", url.origin().ascii_serialization())
                .form(form);
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|e| panic!("{url}: {e}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        for line in headers.get_all(SET_COOKIE) {
            self.keep(&url, line.to_str().unwrap());
        }
        let body = answer.text().await.unwrap();
        Page {
            url,
            status,
            headers,
            body,
        }
    }

    fn keep(&mut self, url: &Url, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let flags: HashMap<String, &str> = parts
            .map(|flag| flag.split_once('=').unwrap_or((flag, "")))
            .map(|(key, value)| (key.to_lowercase(), value))
            .collect();
        let host = url.host_str().unwrap().to_owned();
        let path = flags.get("path").copied().unwrap_or("/").to_owned();
        self.jar
            .retain(|kept| (&kept.host, &kept.path, kept.name.as_str()) != (&host, &path, name));
        let over = flags.get("max-age") == Some(&"0")
            || flags.get("expires").is_some_and(|end| end.contains("1970"));
        if !over {
            self.jar.push(Kept {
                host,
                path,
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
}

impl Page {
    /// The redirect's target.
    pub(crate) fn leads_to(&self) -> Option<Url> {
        let to = self.headers.get(LOCATION)?.to_str().unwrap();
        (300..400)
            .contains(&self.status)
            .then(|| self.url.join(to).unwrap())
    }

    /// The cause of a problem page.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let (_, rest) = self.body.split_once("<title>")?;
        let (title, _) = rest.split_once(" · ")?;
        let titled = |cause: &Cause| {
            [Lang::Zh, Lang::En]
                .map(|lang| cause.title(lang))
                .contains(&title)
        };
        Cause::ALL.into_iter().find(titled)
    }

    /// The first link with this text in its URL.
    pub(crate) fn link(&self, part: &str) -> String {
        let links = tags(&self.body, "a").filter_map(|tag| attribute(tag, "href"));
        let mut fitting = links.filter(|link| link.contains(part));
        let link = fitting.next();
        let link = link.unwrap_or_else(|| panic!("no link {part} at {}: {}", self.url, self.body));
        self.url.join(&link).unwrap().into()
    }

    /// The target and the fields of the page's form.
    fn form(&self) -> (Url, Vec<(String, String)>) {
        let form = tags(&self.body, "form").next();
        let form = form.unwrap_or_else(|| panic!("no form at {}: {}", self.url, self.body));
        // Without an action the form is sent to its page.
        let action = attribute(form, "action").unwrap_or_default();
        let fields = tags(&self.body, "input")
            .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)));
        (self.url.join(&action).unwrap(), fields.collect())
    }
}

/// Every value of a header that the application received, from the JSON of its `/echo`.
pub(crate) fn echoed(body: &str, name: &str) -> Vec<String> {
    let json: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("no echo: {body}"));
    let headers = json["headers"].as_array().unwrap();
    let same = headers
        .iter()
        .filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    same.map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect()
}

fn tags<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    html.split('<').skip(1).filter_map(move |tag| {
        let rest = tag.strip_prefix(name)?;
        rest.starts_with([' ', '\n', '>'])
            .then(|| rest.split('>').next().unwrap_or_default())
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.replace('\n', " ");
    let (_, rest) = tag.split_once(&format!(" {name}="))?;
    let quote = rest.chars().next()?;
    let (value, _) = rest[1..].split_once(quote)?;
    Some(value.replace("&amp;", "&").replace("&#38;", "&"))
}
