//! `Stage`: an application of a recipe behind menshen with TLS, and what every recipe promises.

use std::net::SocketAddr;

use menshen::clock::Clock;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION};
use serde_json::Value;
use url::Url;

use super::super::processes::{Program, TempDir, free_ports, until};
use super::super::setup::Menshen;
use super::super::visitor::{Page, Visitor};
use super::super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};
use super::recipe::Recipe;

/// Headers with which a client claims to be somebody, also in the spellings that some servers take for
/// the same.
const FORGED: [(&str, &str); 7] = [
    ("x-forwarded-user", "boss"),
    ("x_forwarded_user", "boss"),
    ("x-forwarded-preferred-username", "boss"),
    ("x-forwarded-name", "boss"),
    ("remote-user", "boss"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
];

/// What a recipe says about its application.
pub(super) struct Promises {
    /// The path that answers with JSON about the person.
    pub(super) whoami: &'static str,
    /// Where the JSON has the login.
    pub(super) login_at: &'static str,
    /// Where the JSON has the URL of the page, if it has it.
    pub(super) address_at: Option<&'static str>,
    /// The status of that path for a request without a person.
    pub(super) for_nobody: u16,
}

/// What [`super`]'s own applications answer.
pub(super) const OWN: Promises = Promises {
    whoami: "/",
    login_at: "/login",
    address_at: Some("/address"),
    for_nobody: 401,
};

pub(super) struct Stage {
    /// The URL of the application for browsers, without a trailing slash.
    pub(super) origin: String,
    host: String,
    /// The URL of the application itself.
    application: String,
    wecom: WeCom,
    _menshen: Menshen,
    _programs: Vec<Program>,
    _dir: TempDir,
}

impl Stage {
    /// Starts the application of a recipe by a function of its directory and port, which returns its
    /// programs; the first is the one that listens.
    pub(super) async fn start(
        recipe: &Recipe,
        start: impl Fn(&TempDir, u16) -> Vec<Program>,
    ) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let (host, upstream) = recipe.route();
        for _ in 0..5 {
            let (port, dir) = (free_ports(1), TempDir::new());
            let mut programs = start(&dir, port);
            let upstream_here = format!("http://127.0.0.1:{port}");
            let route = recipe.blocks("toml")[0].replace(&upstream, &upstream_here);
            let menshen = Menshen::built(Clock::system(), |url, dir| {
                let port = url.rsplit(':').next().unwrap();
                let authority = format!("{host}:{port}");
                wecom.set_agent_domains(AGENT_ID, &[&authority]);
                configuration(&wecom, dir, &authority, &route, &upstream_here)
            })
            .await;
            // It ends if another process took the port.
            if programs[0].listens(port).await {
                let https = menshen.url.rsplit(':').next().unwrap();
                return Self {
                    origin: format!("https://{host}:{https}"),
                    application: format!("http://{host}:{port}"),
                    host,
                    wecom,
                    _menshen: menshen,
                    _programs: programs,
                    _dir: dir,
                };
            }
            programs.iter_mut().for_each(Program::show);
        }
        panic!("the application finds no port, or does not start");
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Waits until a path that needs no session answers with this status.
    pub(super) async fn waits_for(&self, path: &str, status: u16) {
        let (visitor, url) = (self.visitor(), self.at(path));
        until(path, async || visitor.peek(&url).await == status).await;
    }

    /// Opens a page that needs a session, signs in, and returns to it.
    pub(super) async fn sign_in(&self, visitor: &mut Visitor, userid: &str, path: &str) -> Page {
        let page = visitor.open(&self.at(path)).await;
        let chosen = WeCom::choose(page.url.as_str(), userid);
        visitor.open(&chosen).await
    }

    pub(super) fn visitor(&self) -> Visitor {
        Visitor::trusting(&self.host)
    }

    /// A client that knows no redirects and no cookies.
    fn client(&self) -> reqwest::Client {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .resolve(&self.host, SocketAddr::from(([127, 0, 0, 1], 0)))
            .tls_danger_accept_invalid_certs(true);
        client.build().unwrap()
    }

    async fn forged(&self, url: &str) -> (StatusCode, String) {
        let request = self
            .client()
            .get(url)
            .header("accept", "text/html,*/*;q=0.8");
        let forged = FORGED.into_iter();
        let request = forged.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let answer = request.send().await.unwrap();
        let location = answer.headers().get(LOCATION).cloned();
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (
            answer.status(),
            location.unwrap_or_default() + &answer.text().await.unwrap(),
        )
    }

    /// The status of a WebSocket handshake of this visitor from a page of this origin.
    pub(super) async fn websocket(&self, visitor: &Visitor, path: &str, origin: &str) -> u16 {
        let url = Url::parse(&self.at(path)).unwrap();
        let request = self
            .client()
            .get(url.clone())
            .header("origin", origin)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header(COOKIE, visitor.cookies(&url));
        request.send().await.unwrap().status().as_u16()
    }

    /// A person is known, with the address that their browser has; another one in the same browser replaces
    /// them.
    pub(super) async fn knows_each_person(&self, visitor: &mut Visitor, promises: &Promises) {
        for userid in ["zhangsan", "lisi"] {
            let page = self.sign_in(visitor, userid, promises.whoami).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let said: Value = serde_json::from_str(&page.body).unwrap();
            assert_eq!(said.pointer(promises.login_at).unwrap(), userid, "{said}");
            if let Some(address) = promises.address_at {
                let address = said.pointer(address).unwrap();
                assert_eq!(address, &self.at(promises.whoami), "{said}");
            }
            if userid == "zhangsan" {
                self.ends_with_menshen(visitor, promises).await;
            }
        }
    }

    /// After a sign-out at menshen alone nobody is known, although the application's cookies are still there.
    async fn ends_with_menshen(&self, visitor: &mut Visitor, promises: &Promises) {
        let page = visitor.open(&self.at("/.menshen/sign_out?rd=/")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let page = visitor.visit(&self.at(&open_path(promises))).await;
        assert_eq!(page.status, promises.for_nobody, "{}", page.body);
    }

    /// Whoever sends the headers of menshen without a session is nobody, also where no login is needed.
    pub(super) async fn believes_no_stranger(&self, promises: &Promises) {
        let directly = format!("{}{}", self.application, promises.whoami);
        let (_, said) = self.forged(&directly).await;
        assert!(
            said.contains("boss"),
            "the application does not read the header: {said}"
        );
        let (status, said) = self.forged(&self.at(promises.whoami)).await;
        assert!(status.is_redirection(), "{status} {said}");
        assert!(!said.contains("boss"), "{said}");
        let (status, said) = self.forged(&self.at(&open_path(promises))).await;
        assert_eq!(status.as_u16(), promises.for_nobody, "{said}");
        assert!(!said.contains("boss"), "{said}");
    }

    /// The last page of a sign-out is menshen's, and a login is needed afterwards, whatever cookies the
    /// application set.
    pub(super) async fn is_signed_out(&self, visitor: &mut Visitor, last: &Page, path: &str) {
        assert_eq!(
            (last.status, last.url.path()),
            (200, "/.menshen/sign_out"),
            "{}",
            last.url
        );
        assert!(last.url.as_str().starts_with(&self.origin), "{}", last.url);
        let page = visitor.visit(&self.at(path)).await;
        let login = page.leads_to().unwrap();
        assert!(
            login.as_str().starts_with(&self.wecom.base_url()),
            "{login}"
        );
    }
}

/// The path below which the application is public.
fn open_path(promises: &Promises) -> String {
    format!("/open{}", promises.whoami)
}

fn configuration(
    wecom: &WeCom,
    dir: &TempDir,
    authority: &str,
    route: &str,
    application: &str,
) -> String {
    let (host, port) = authority.split_once(':').unwrap();
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let certificate = dir.write("tls.pem", &made.cert.pem());
    let key = dir.write("tls.key", &made.signing_key.serialize_pem());
    format!(
        r#"
        [server]
        listen = ["127.0.0.1:{port}"]
        external_url = "https://{authority}"
        [server.tls]
        certificate = "{certificate}"
        key = "{key}"
        [log]
        access = false
        [store]
        url = "sqlite://{dir}/menshen.db"
        [connector.corp]
        auto_login = "always"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"
        {route}
        [[route]]
        name = "open"
        host = "{host}"
        path = "/open"
        strip_path = true
        access = "public"
        upstream = ["{application}"]
        "#,
        certificate = certificate.display(),
        key = key.display(),
        dir = dir.path().display(),
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
    )
}
