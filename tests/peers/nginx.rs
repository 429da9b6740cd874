//! Debian's nginx behind menshen and in front of it.

use std::net::IpAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::demo::{assert_signed_in_at, sign_in_as};
use super::demo_journeys::echo;
use super::legacy_app::LegacyApp;
use super::processes::{Program, TempDir, free_ports};
use super::setup::{Menshen, Setup};
use super::webdriver::{Browser, BrowserOptions};
use super::wecom::{Options, WeCom};

/// The address from which nginx connects to menshen, distinct from all other clients.
const NGINX_ADDRESS: &str = "127.0.0.2";

/// A running nginx, stopped when dropped.
#[derive(Debug)]
struct Nginx {
    port: u16,
    _program: Program,
    _dir: TempDir,
}

impl Nginx {
    /// Starts nginx with this `server` block in this directory; `None` if the port is taken.
    async fn start(port: u16, dir: TempDir, server: &str) -> Option<Self> {
        let file = dir.write("nginx.conf", &around(server, &dir));
        // Debian installs it outside the PATH of ordinary users.
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-p")
            .arg(dir.path())
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(file);
        let mut program = Program::start("nginx", &mut command);
        program.listens(port).await.then_some(Self {
            port,
            _program: program,
            _dir: dir,
        })
    }
}

/// The rest of a configuration that needs no privileges and writes only to its directory.
fn around(server: &str, dir: &TempDir) -> String {
    let dir = dir.path().display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept = kept
        .map(|kind| format!("{kind}_temp_path {dir}/{kind};"))
        .join("\n");
    format!(
        "daemon off; master_process off; pid {dir}/pid; error_log stderr warn;
        events {{}}
        http {{ access_log off; {kept} server {{ {server} }} }}"
    )
}

/// nginx's documented settings for WebSockets (nginx.org, "WebSocket proxying").
const UPGRADE: &str = "proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;";

#[tokio::test(flavor = "multi_thread")]
async fn nginx_as_upstream_receives_the_identity() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后")
        .await
        .unwrap();
    let nginx = before(&app).await;
    let rest = format!(
        "[[route]]\nname = \"behind\"\nupstream = [\"http://127.0.0.1:{}\"]",
        nginx.port
    );
    let menshen = Menshen::start(
        &wecom,
        Setup {
            rest: &rest,
            ..Setup::default()
        },
    )
    .await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&format!("{}/todo", menshen.url)).await;
    sign_in_as(&browser, "zhangsan").await;
    assert_signed_in_at(&browser, "张三", &format!("{}/todo", menshen.url)).await;
    assert_eq!(browser.script(&echo("0"), json!(["ws"])).await, "门神");

    let cookie = session(&browser).await;
    let client = client_at(None);
    let host = menshen.url.trim_start_matches("http://");
    // nginx closes every third connection; no request may fail because of it.
    for _ in 0..20 {
        let request = client
            .get(format!("{}/said", menshen.url))
            .header("cookie", &cookie);
        let forged = request
            .header("x-forwarded-user", "lisi")
            .header("x_forwarded_user", "lisi");
        let answer = forged.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.text().await.unwrap(),
            format!("zhangsan|%E5%BC%A0%E4%B8%89|{host}")
        );
    }
    for (bytes, status) in [(1_000_000, 200), (2_000_000, 413)] {
        let request = client
            .post(format!("{}/echo", menshen.url))
            .header("cookie", &cookie);
        let answer = request.body(vec![b'x'; bytes]).send().await.unwrap();
        assert_eq!(
            answer.status(),
            status,
            "nginx takes one megabyte and says so beyond"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nginx_in_front_is_trusted() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后")
        .await
        .unwrap();
    let rest = format!(
        "[[route]]\nname = \"behind\"\nupstream = [\"{}\"]",
        app.base_url()
    );
    let (menshen, nginx) = behind_nginx(&wecom, &rest).await;
    let front = format!("https://127.0.0.1:{}", nginx.port);
    let person = BrowserOptions {
        accepts_any_certificate: true,
        ..BrowserOptions::default()
    };
    let browser = Browser::start(&person).await;
    browser.open(&format!("{front}/todo?a=%2F")).await;
    sign_in_as(&browser, "zhangsan").await;
    assert_signed_in_at(&browser, "张三", &format!("{front}/todo?a=%2F")).await;
    assert_eq!(browser.script(&echo("0"), json!(["wss"])).await, "门神");

    let cookie = session(&browser).await;
    assert!(
        cookie.starts_with("__Host-menshen="),
        "https in front makes the cookie one for https"
    );
    // A client at another address that forges one more hop.
    let client = client_at(Some([127, 0, 0, 3].into()));
    let through = said(&client, &format!("{front}/echo"), &cookie).await;
    assert_eq!(header(&through, "x-real-ip"), "127.0.0.3");
    assert_eq!(header(&through, "x-forwarded-proto"), "https");
    assert_eq!(header(&through, "x-forwarded-user"), "zhangsan");
    // A direct client: neither https nor the address is accepted.
    let past = said(&client_at(None), &format!("{}/echo", menshen.url), &cookie).await;
    assert_eq!(header(&past, "x-real-ip"), "127.0.0.1");
    assert_eq!(header(&past, "x-forwarded-proto"), "http");
}

/// A plain nginx in front of an application.
async fn before(app: &LegacyApp) -> Nginx {
    for _ in 0..10 {
        let port = free_ports(1);
        let server = format!(
            "listen 127.0.0.1:{port}; underscores_in_headers on; keepalive_requests 3;
            location = /said {{ default_type text/plain;
                return 200 '$http_x_forwarded_user|$http_x_forwarded_name|$http_host'; }}
            location / {{ proxy_pass {}; {UPGRADE} proxy_set_header Host $http_host; }}",
            app.base_url()
        );
        if let Some(nginx) = Nginx::start(port, TempDir::new(), &server).await {
            return nginx;
        }
    }
    panic!("nginx does not start");
}

/// menshen that trusts only nginx, and an nginx with TLS in front of it.
async fn behind_nginx(wecom: &WeCom, rest: &str) -> (Menshen, Nginx) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for _ in 0..10 {
        let port = free_ports(1);
        let external = format!("https://127.0.0.1:{port}");
        let server = format!("trusted_proxies = [\"{NGINX_ADDRESS}\"]");
        let setup = Setup {
            external_url: Some(&external),
            server: &server,
            rest,
        };
        let menshen = Menshen::start(wecom, setup).await;
        let dir = TempDir::new();
        dir.write("certificate.pem", &certificate);
        dir.write("key.pem", &key);
        let server = format!(
            "listen 127.0.0.1:{port} ssl;
            ssl_certificate certificate.pem; ssl_certificate_key key.pem;
            location / {{ proxy_pass {}; proxy_bind {NGINX_ADDRESS}; {UPGRADE}
                proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-Proto $scheme;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}",
            menshen.url
        );
        if let Some(nginx) = Nginx::start(port, dir, &server).await {
            return (menshen, nginx);
        }
    }
    panic!("nginx does not start");
}

/// What the application received from a request with forged forwarding headers.
async fn said(client: &reqwest::Client, url: &str, cookie: &str) -> Value {
    let request = client
        .get(url)
        .header("cookie", cookie)
        .header("x-real-ip", "203.0.113.9");
    let request = request.header("x-forwarded-for", "203.0.113.9");
    let answer = request
        .header("x-forwarded-proto", "https")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// The only value of a header that the application received.
fn header(said: &Value, name: &str) -> String {
    let pairs = said["headers"].as_array().unwrap().iter();
    let values: Vec<_> = pairs
        .filter(|pair| pair[0] == name)
        .map(|pair| pair[1].clone())
        .collect();
    let [Value::String(value)] = values.as_slice() else {
        panic!("{name}: {values:?}")
    };
    value.clone()
}

/// The browser's session cookie as a `Cookie` header.
async fn session(browser: &Browser) -> String {
    let cookies = browser.cookies().await;
    let (name, value) = cookies
        .iter()
        .find(|(name, _)| name.ends_with("menshen"))
        .unwrap();
    format!("{name}={value}")
}

/// A client that follows no redirects, connects from this address and accepts every certificate.
fn client_at(address: Option<IpAddr>) -> reqwest::Client {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    client
        .local_address(address)
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}
