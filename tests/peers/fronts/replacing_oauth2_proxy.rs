//! menshen replaces oauth2-proxy behind an unchanged nginx.

use menshen::clock::Clock;
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::HOST;
use super::application::Application;
use super::client::{Ask, Client};
use super::recipes::{nginx_including, recipe};
use crate::op::oidc_provider::OidcProvider;
use crate::processes::{Program, TempDir, free_ports};
use crate::setup::Menshen;
use crate::visitor::{Page, Visitor, echoed};

/// An nginx configuration for oauth2-proxy as its users write it. The second redirect to the login
/// encodes nothing.
const NGINX: &str = "
    server {
        listen 127.0.0.1:FRONT ssl;
        ssl_certificate tls.pem;
        ssl_certificate_key tls.key;
        location /oauth2/ {
            proxy_pass http://MENSHEN;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
        }
        location = /oauth2/auth {
            internal;
            proxy_pass http://MENSHEN;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-Uri $request_uri;
            proxy_set_header Content-Length \"\";
            proxy_pass_request_body off;
        }
        auth_request_set $user $upstream_http_x_auth_request_user;
        auth_request_set $email $upstream_http_x_auth_request_email;
        auth_request_set $auth_cookie $upstream_http_set_cookie;
        add_header Set-Cookie $auth_cookie;
        proxy_set_header X-User $user;
        proxy_set_header X-Email $email;
        location / {
            auth_request /oauth2/auth;
            error_page 401 = /oauth2/sign_in;
            proxy_pass http://APPLICATION;
        }
        location /unencoded/ {
            auth_request /oauth2/auth;
            error_page 401 = @start;
            proxy_pass http://APPLICATION;
        }
        location @start {
            return 302 /oauth2/start?rd=$scheme://$http_host$request_uri;
        }
        location /engineers/ {
            auth_request /engineers;
            proxy_pass http://APPLICATION;
        }
        location = /engineers {
            internal;
            proxy_pass http://MENSHEN/oauth2/auth?allowed_groups=engineers;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Uri $request_uri;
            proxy_set_header Content-Length \"\";
            proxy_pass_request_body off;
        }
    }";

/// All running programs.
#[derive(Debug)]
struct ReplacedStage {
    url: String,
    client: Client,
    _application: Application,
    _provider: OidcProvider,
    _menshen: Menshen,
    _nginx: Program,
    _dir: TempDir,
}

async fn swapped() -> ReplacedStage {
    let provider = OidcProvider::start(json!({})).await;
    let application = Application::start().await;
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    for _ in 0..10 {
        let port = free_ports(2);
        let url = format!("https://{HOST}:{port}");
        let callback = format!("{url}/oauth2/callback");
        let known = json!({
            "redirect_uris": [callback],
            "post_logout_redirect_uris": [format!("{url}/oauth2/sign_out")],
        });
        provider.register_with(&url, known).await;
        let menshen = Menshen::built(Clock::system(), |menshen, dir| {
            configuration(&provider.issuer, &url, menshen, port + 1, dir)
        })
        .await;
        let dir = TempDir::new();
        dir.write("tls.pem", &made.cert.pem());
        dir.write("tls.key", &made.signing_key.serialize_pem());
        let nginx = NGINX
            .replace("FRONT", &port.to_string())
            .replace("MENSHEN", menshen.url.trim_start_matches("http://"))
            .replace("APPLICATION", &application.address.to_string());
        dir.write("menshen.conf", &nginx);
        let mut nginx = Program::start("nginx", &mut nginx_including(&dir));
        if nginx.listens(port).await {
            return ReplacedStage {
                url,
                client: Client::new(port, CertificateDer::from(made.cert.der().to_vec())),
                _application: application,
                _provider: provider,
                _menshen: menshen,
                _nginx: nginx,
                _dir: dir,
            };
        }
    }
    panic!("nginx does not start");
}

/// The configuration of menshen.
pub(super) fn configuration(
    issuer: &str,
    url: &str,
    menshen: &str,
    admin: u16,
    dir: &TempDir,
) -> String {
    let store = format!("sqlite://{}/menshen.db", dir.path().display());
    let changes = [
        ("127.0.0.1:4180", menshen.trim_start_matches("http://")),
        (
            "external_url    = \"https://oa.corp.example\"",
            &format!("external_url = \"{url}\""),
        ),
        (
            "https://oa.corp.example/oauth2/callback",
            &format!("{url}/oauth2/callback"),
        ),
        ("127.0.0.1:9180", &format!("127.0.0.1:{admin}")),
        ("sqlite:///var/lib/menshen/menshen.db", &store),
        ("https://id.corp.example/realms/corp", issuer),
        (
            "client_id     = \"oauth2-proxy\"",
            "client_id = \"menshen\"",
        ),
        (
            "{ file = \"/etc/menshen/keycloak.secret\" }",
            "\"secret-of-the-client-menshen\"",
        ),
        ("access = true ", "access = false "),
    ];
    recipe("oauth2-proxy.toml", &changes)
}

/// Opens a URL, is redirected to the provider, and signs in as this person.
pub(super) async fn sign_in(visitor: &mut Visitor, address: &str, person: &str) -> Page {
    let page = visitor.open(address).await;
    visitor.submit(&page, &[("person", person)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nginx_configured_for_oauth2_proxy_works_unchanged() {
    let stage = swapped().await;
    for deep in ["/page?a=1&b=%26#", "/unencoded/page?a=1&b=%26&rd=/c"] {
        let deep = format!("{}{}", stage.url, deep.trim_end_matches('#'));
        let mut visitor = Visitor::trusting(HOST);
        let page = sign_in(&mut visitor, &deep, "zhangsan").await;
        assert_eq!((page.status, page.url.as_str()), (200, deep.as_str()));
        assert_eq!(echoed(&page.body, "x-user"), ["zhangsan"]);
        assert_eq!(echoed(&page.body, "x-email"), ["zhangsan@corp.example"]);
        let cookie = visitor.cookies(&page.url);
        // A rule of the route, and one of the check itself.
        for (target, status) in [("/page", 200), ("/engineers/page", 403)] {
            let ask = Ask::get(target).with("cookie", &cookie);
            assert_eq!(stage.client.send(&ask).await.status, status, "{target}");
        }
        let left = visitor
            .open(&format!("{}/oauth2/sign_out", stage.url))
            .await;
        // The provider asks whether to sign out there, too.
        assert_eq!(left.url.path(), "/session/end", "{left:?}");
        let ask = Ask::get("/engineers/page").with("cookie", &cookie);
        assert_eq!(stage.client.send(&ask).await.status, 401);
    }
    // 李四 has no e-mail address at corp.example.
    let mut visitor = Visitor::trusting(HOST);
    let page = sign_in(&mut visitor, &format!("{}/page", stage.url), "lisi").await;
    assert_eq!(page.status, 403);
    assert_eq!(stage.client.send(&Ask::get("/healthz")).await.status, 200);
    for target in ["/oauth2/ping", "/oauth2/ready"] {
        assert_eq!(stage.client.send(&Ask::get(target)).await.status, 200);
    }
}
