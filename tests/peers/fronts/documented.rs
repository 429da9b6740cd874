//! menshen replaces oauth2-proxy behind nginx, Caddy and Traefik with the configurations of
//! oauth2-proxy's documentation: the same directives and values, with other names and addresses.
//! They use port 443, so each proxy has its own loopback address.

use std::net::Ipv4Addr;
use std::process::Command;

use menshen::clock::Clock;
use menshen::keys;
use serde_json::json;

use super::HOST;
use super::application::Application;
use super::recipes::{nginx_including, program};
use super::replacing_oauth2_proxy::{configuration, sign_in};
use crate::op::oidc_provider::OidcProvider;
use crate::processes::{Program, TempDir, free_ports};
use crate::setup::Menshen;
use crate::visitor::{Visitor, echoed};

/// The nginx configuration; its `$host` has no port, and nothing sends the scheme.
const NGINX: &str = "
    upstream backend { server APPLICATION; }
    server {
        listen FRONT:443 ssl;
        server_name oa.corp.example;
        ssl_certificate tls.pem;
        ssl_certificate_key tls.key;
        location /oauth2/ {
            proxy_pass http://MENSHEN;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
        }
        location = /oauth2/auth {
            proxy_pass http://MENSHEN;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-Uri $request_uri;
            proxy_set_header Content-Length \"\";
            proxy_pass_request_body off;
        }
        location / {
            auth_request /oauth2/auth;
            error_page 401 = @oauth2_signin;
            auth_request_set $user $upstream_http_x_auth_request_user;
            auth_request_set $email $upstream_http_x_auth_request_email;
            proxy_set_header X-User $user;
            proxy_set_header X-Email $email;
            auth_request_set $token $upstream_http_x_auth_request_access_token;
            proxy_set_header X-Access-Token $token;
            auth_request_set $auth_cookie $upstream_http_set_cookie;
            add_header Set-Cookie $auth_cookie;
            auth_request_set $auth_cookie_upstream_1 $upstream_cookie__oauth2_proxy_1;
            if ($auth_cookie ~* \"(; .*)\") {
                set $auth_cookie_0 $auth_cookie;
                set $auth_cookie_1 \"_oauth2_proxy_1=$auth_cookie_upstream_1$1\";
            }
            if ($auth_cookie_upstream_1) {
                add_header Set-Cookie $auth_cookie_0;
                add_header Set-Cookie $auth_cookie_1;
            }
            proxy_pass http://backend/;
        }
        location @oauth2_signin {
            return 302 /oauth2/sign_in?rd=$scheme://$host$request_uri;
        }
    }";

/// The Caddy configuration, with the line for names that the documentation has as a comment.
const CADDY: &str = "{
    admin off
    auto_https disable_redirects
    storage file_system DIR
}
oa.corp.example {
    bind FRONT
    tls DIR/tls.pem DIR/tls.key
    handle /oauth2/* {
        reverse_proxy MENSHEN {
            header_up X-Real-IP {remote_host}
            header_up X-Forwarded-Uri {uri}
        }
    }
    handle {
        forward_auth MENSHEN {
            uri /oauth2/auth
            header_up X-Real-IP {remote_host}
            copy_headers X-Auth-Request-User X-Auth-Request-Email
            @error status 401
            handle_response @error {
                redir * /oauth2/sign_in?rd={scheme}://{host}{uri}
            }
        }
        reverse_proxy APPLICATION
    }
}";

/// The Traefik configuration has two ways to redirect to the login. Both send checks to a path
/// below `https://oauth.example.com`, which is Traefik itself; only the line that names menshen
/// differs.
const TRAEFIK: &str = r#"{"http": {
    "routers": {
        "a-service": {
            "rule": "Host(`oa.corp.example`)",
            "service": "a-service-backend", "middlewares": [MIDDLEWARES],
            "tls": {"certResolver": "default"}
        },
        "oauth": {
            "rule": "Host(`oa.corp.example`, `oauth.corp.example`) && PathPrefix(`/oauth2/`)",
            "middlewares": ["auth-headers"], "service": "oauth-backend",
            "tls": {"certResolver": "default"}
        }
    },
    "services": {
        "a-service-backend": {"loadBalancer": {"servers": [{"url": "http://APPLICATION"}]}},
        "oauth-backend": {"loadBalancer": {"servers": [{"url": "http://MENSHEN"}]}}
    },
    "middlewares": {
        "auth-headers": {"headers": {
            "sslRedirect": true, "stsSeconds": 315360000, "browserXssFilter": true,
            "contentTypeNosniff": true, "forceSTSHeader": true, "sslHost": "corp.example",
            "stsIncludeSubdomains": true, "stsPreload": true, "frameDeny": true
        }},
        "oauth-auth": {"forwardAuth": {"address": "http://MENSHEN/oauth2/forward-auth"}},
        "oauth-errors": {"errors": {
            "status": ["401-403"], "service": "oauth-backend",
            "query": "/oauth2/sign_in?rd={url}", "statusRewrites": {"401": 302}
        }},
        "oauth-auth-redirect": {"forwardAuth": {
            "address": "http://MENSHEN/oauth2/forward-auth",
            "authResponseHeaders": ["X-Auth-Request-Access-Token", "Authorization"]
        }}
    }},
    "tls": {"stores": {"default": {"defaultCertificate": {
        "certFile": "DIR/tls.pem", "keyFile": "DIR/tls.key"
    }}}}}"#;

/// Traefik's static configuration: rules in the syntax of version 2.
const TRAEFIK_ITSELF: &str = r#"{
    "core": {"defaultRuleSyntax": "v2"},
    "entryPoints": {"web": {"address": "FRONT:443"}},
    "providers": {"file": {"filename": "DIR/dynamic.yaml"}}}"#;

/// A documented proxy configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nginx,
    Caddy,
    /// Redirects by Traefik's errors middleware.
    TraefikByErrors,
    /// Redirects by the response of the check.
    TraefikByAnswer,
}

impl Shown {
    fn command(self, dir: &TempDir, fill: impl Fn(&str) -> String) -> Command {
        match self {
            Self::Nginx => {
                dir.write("menshen.conf", &fill(NGINX));
                nginx_including(dir)
            }
            Self::Caddy => {
                let mut command = program("caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(dir.write("Caddyfile", &fill(CADDY)));
                command.env("HOME", dir.path());
                command
            }
            Self::TraefikByErrors | Self::TraefikByAnswer => {
                let middlewares = match self {
                    Self::TraefikByErrors => r#""oauth-errors", "oauth-auth""#,
                    _ => r#""oauth-auth-redirect""#,
                };
                let text = fill(TRAEFIK).replace("MIDDLEWARES", middlewares);
                // JSON is valid YAML.
                dir.write("dynamic.yaml", &text);
                let mut command = program("traefik");
                let file = dir.write("static.yaml", &fill(TRAEFIK_ITSELF));
                command.arg(format!("--configFile={}", file.display()));
                command
            }
        }
    }

    /// The header with the login name for the application.
    fn user(self) -> Option<&'static str> {
        match self {
            Self::Nginx => Some("x-user"),
            Self::Caddy => Some("x-auth-request-user"),
            // The documented configuration forwards no login name.
            Self::TraefikByErrors | Self::TraefikByAnswer => None,
        }
    }
}

/// All running programs.
#[derive(Debug)]
struct Stage {
    address: Ipv4Addr,
    application: Application,
    _provider: OidcProvider,
    _menshen: Menshen,
    _front: Program,
    _dir: TempDir,
}

async fn stage(shown: Shown) -> Stage {
    let provider = OidcProvider::start(json!({})).await;
    let url = format!("https://{HOST}");
    let known = json!({
        "redirect_uris": [format!("{url}/oauth2/callback")],
        "post_logout_redirect_uris": [format!("{url}/oauth2/sign_out")],
    });
    provider.register_with(&url, known).await;
    let application = Application::start().await;
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    for _ in 0..10 {
        let admin = free_ports(1);
        let menshen = Menshen::built(Clock::system(), |menshen, dir| {
            configuration(&provider.issuer, &url, menshen, admin, dir)
        })
        .await;
        let dir = TempDir::new();
        dir.write("tls.pem", &made.cert.pem());
        dir.write("tls.key", &made.signing_key.serialize_pem());
        let [a, b, c, ..] = keys::random::<16>();
        let address = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        let mut command = shown.command(&dir, |text| {
            text.replace("FRONT", &address.to_string())
                .replace("MENSHEN", menshen.url.trim_start_matches("http://"))
                .replace("APPLICATION", &application.address.to_string())
                .replace("DIR", &dir.path().display().to_string())
        });
        let mut front = Program::start(&format!("{shown:?}"), &mut command);
        let visitor = Visitor::trusting_at(HOST, address);
        // Traefik accepts connections before it has read its middleware.
        let page = format!("{url}/page");
        let serves = async || visitor.finds(&page).await;
        if front.until(serves).await {
            return Stage {
                address,
                application,
                _provider: provider,
                _menshen: menshen,
                _front: front,
                _dir: dir,
            };
        }
    }
    panic!("{shown:?} does not start");
}

async fn signs_in_and_returns(shown: Shown) {
    let stage = stage(shown).await;
    let deep = format!("https://{HOST}/page?a=1&b=%26&c=x+y%2Bz");
    let before = stage.application.requests();
    let mut visitor = Visitor::trusting_at(HOST, stage.address);
    let stranger = visitor.clone().visit(&deep).await;
    assert!(stranger.leads_to().is_some(), "{stranger:?}");
    assert_eq!(
        stage.application.requests(),
        before,
        "a request without a session passed"
    );

    let page = sign_in(&mut visitor, &deep, "zhangsan").await;
    assert_eq!((page.status, page.url.as_str()), (200, deep.as_str()));
    if let Some(name) = shown.user() {
        assert_eq!(echoed(&page.body, name), ["zhangsan"]);
    }
    let left = visitor
        .open(&format!("https://{HOST}/oauth2/sign_out"))
        .await;
    // The provider asks whether to sign out there, too.
    assert_eq!(left.url.path(), "/session/end", "{left:?}");
    assert!(visitor.visit(&deep).await.leads_to().is_some());

    // 李四 has no e-mail address at corp.example.
    let before = stage.application.requests();
    let mut visitor = Visitor::trusting_at(HOST, stage.address);
    let page = sign_in(&mut visitor, &deep, "lisi").await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(!page.body.is_empty(), "an empty page: {page:?}");
    assert_eq!(stage.application.requests(), before, "lisi passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_proxys_documented_nginx_configuration_works() {
    signs_in_and_returns(Shown::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_proxys_documented_caddy_configuration_works() {
    signs_in_and_returns(Shown::Caddy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_proxys_documented_traefik_errors_middleware_works() {
    signs_in_and_returns(Shown::TraefikByErrors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_proxys_documented_traefik_forward_auth_works() {
    signs_in_and_returns(Shown::TraefikByAnswer).await;
}
