//! menshen beside real proxies. Each proxy runs its recipe from conf/, and the same promises are
//! tested for all of them. `tests/peers/fronts/install` installs those that Debian does not have.

mod anonymous;
mod application;
mod chromium;
mod client;
mod documented;
mod members;
mod recipes;
mod replacing_oauth2_proxy;
mod signing_out;
mod spoofing;

use std::time::Duration;

use menshen::clock::Clock;
use menshen::keys;
use rustls::pki_types::CertificateDer;

use super::processes::{Program, TempDir, free_ports};
use super::setup::Menshen;
use super::visitor::{Page, Visitor};
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};
use application::Application;
use client::Client;
use recipes::{Front, Places, recipe};

/// The host of the recipes.
const HOST: &str = "oa.corp.example";
/// The token of the admin API.
const ADMIN_TOKEN: &str = "a-token-for-the-tests-of-the-fronts";
/// 张三 is not in 财务部, and 李四 is.
const ZHANG_SAN: &str = "zhangsan";
const LI_SI: &str = "lisi";

/// Routes that the tests need besides the recipes.
const MORE_ROUTES: &str = r#"
[[route]]
name = "public"
host = "oa.corp.example"
path = "/public"
access = "public"

[[route]]
name = "office"
host = "oa.corp.example"
path = "/office"
allow = "in_network(request.ip, '127.0.0.3/32')"

[[route]]
name = "reading"
host = "oa.corp.example"
path = "/reading"
allow = "request.method == 'GET'"

[[route]]
name = "proved"
host = "oa.corp.example"
path = "/proved"
assertion = true
check_headers = "all"

[[route]]
name = "elsewhere"
host = "elsewhere.corp.example"
access = "public"
"#;

/// A proxy, an application behind it, and menshen beside it.
#[derive(Debug)]
struct Stage {
    front: Front,
    /// The public origin.
    url: String,
    client: Client,
    application: Application,
    clock: Clock,
    /// The address of the admin API.
    admin: String,
    menshen: Option<Menshen>,
    _wecom: WeCom,
    _program: Program,
    _dir: TempDir,
}

impl Stage {
    async fn start(front: Front) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let application = Application::start().await;
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        for _ in 0..10 {
            let port = free_ports(3);
            let (admin, grpc) = (port + 1, port + 2);
            wecom.set_agent_domains(AGENT_ID, &[&format!("{HOST}:{port}")]);
            let clock = Clock::manual(Clock::system().now());
            let menshen = Menshen::built(clock.clone(), |url, dir| {
                sidecar("sidecar.toml", &wecom, (port, admin, grpc), url, dir)
            })
            .await;
            let dir = TempDir::new();
            let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
            dir.write("tls.pem", &certificate);
            dir.write("tls.key", &key);
            dir.write("both.pem", &format!("{certificate}{key}"));
            let places = Places {
                port,
                application: application.address,
                menshen: menshen.url.trim_start_matches("http://"),
                grpc,
                dir: &dir,
            };
            let client = Client::new(port, CertificateDer::from(made.cert.der().to_vec()));
            let mut program = front.start(places);
            // Traefik accepts connections before it has read its middleware.
            if !program.until(async || client.is_served().await).await {
                continue;
            }
            return Self {
                front,
                url: format!("https://{HOST}:{port}"),
                client,
                application,
                clock,
                admin: format!("http://127.0.0.1:{admin}"),
                menshen: Some(menshen),
                _wecom: wecom,
                _program: program,
                _dir: dir,
            };
        }
        panic!("{front:?} does not start");
    }

    fn at(&self, target: &str) -> String {
        format!("{}{target}", self.url)
    }

    /// A person signed in through the proxy, and their session cookie.
    async fn member(&self, userid: &str) -> (Visitor, String) {
        let mut visitor = Visitor::trusting(HOST);
        let page = sign_in(&mut visitor, &self.at("/"), userid).await;
        assert_eq!(page.status, 200, "{page:?}");
        let cookies = visitor.cookies(&page.url);
        let mut pairs = cookies.split("; ");
        let session = pairs.find(|pair| pair.starts_with("__Host-menshen="));
        let session = session.unwrap_or_else(|| panic!("no session: {cookies}"));
        (visitor, session.to_owned())
    }

    /// Sends a request to the admin API.
    async fn administrate(&self, method: reqwest::Method, path: &str) -> serde_json::Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = client.request(method, format!("{}/api/{path}", self.admin));
        let answer = asked.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// The configuration of menshen for the recipes, with the ports of the proxy, the admin API and
/// gRPC.
fn sidecar(
    name: &str,
    wecom: &WeCom,
    (port, admin, grpc): (u16, u16, u16),
    url: &str,
    dir: &TempDir,
) -> String {
    let listen = url.trim_start_matches("http://");
    let changes = [
        ("127.0.0.1:8480", listen.to_owned()),
        (
            "external_url = \"https://oa.corp.example\"",
            format!("external_url = \"https://{HOST}:{port}\""),
        ),
        ("127.0.0.1:9180", format!("127.0.0.1:{admin}")),
        ("127.0.0.1:9181", format!("127.0.0.1:{grpc}")),
        (
            "{ file = \"/etc/menshen/admin.token\" }",
            format!("\"{ADMIN_TOKEN}\""),
        ),
        ("ww0123456789abcdef", CORP_ID.to_owned()),
        ("1000002", AGENT_ID.to_string()),
        (
            "{ file = \"/etc/menshen/wecom.secret\" }",
            format!(
                "\"{SECRET}\"\napi_base = \"{}\"\nauthorize_url = \"{}\"\nlogin_url = \"{}\"",
                wecom.base_url(),
                wecom.authorize_url(),
                wecom.login_url()
            ),
        ),
    ];
    format!(
        "{}{MORE_ROUTES}
        [log]
        access = false
        [session]
        keys = [\"{}\"]
        [store]
        url = \"sqlite://{}/menshen.db\"",
        recipe(name, &changes),
        keys::generate().expose(),
        dir.path().display()
    )
}

/// The maximum number of pages of a login.
const PAGES_MAX: usize = 6;

/// Opens a URL and signs in through the simulated WeCom.
async fn sign_in(visitor: &mut Visitor, address: &str, userid: &str) -> Page {
    let mut page = visitor.open(address).await;
    for _ in 0..PAGES_MAX {
        if page.url.host_str() != Some(HOST) {
            let chosen = WeCom::choose(page.url.as_str(), userid);
            page = visitor.open(&chosen).await;
        } else if page.url.path().starts_with("/.menshen/") {
            let link = page.link("connector=");
            page = visitor.open(&link).await;
        } else {
            return page;
        }
    }
    panic!("not signed in: {:?}", visitor.visited);
}

/// One test for each promise and each proxy.
macro_rules! promised {
    ($($promise:ident)*) => {
        promised!(@ nginx Nginx $($promise)*);
        promised!(@ haproxy HaProxy $($promise)*);
        promised!(@ caddy Caddy $($promise)*);
        promised!(@ traefik Traefik $($promise)*);
        promised!(@ envoy_http EnvoyHttp $($promise)*);
        promised!(@ envoy_grpc EnvoyGrpc $($promise)*);
    };
    (@ $name:ident $front:ident $($promise:ident)*) => {
        mod $name {
            use crate::fronts::{Front, Stage};

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$promise(Stage::start(Front::$front).await).await;
                }
            )*
        }
    };
}
use promised;
