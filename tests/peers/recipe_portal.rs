//! `RecipePortal`: a portal that speaks the protocols of the recipes `conf/custom-qince.toml` and
//! `conf/custom-ticket.toml`.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const QINCE: &str = include_str!("../../conf/custom-qince.toml");
const TICKET: &str = include_str!("../../conf/custom-ticket.toml");

const SECRET: &str = "a-secret-of-the-portal";
/// The token of the application.
const TOKEN: &str = "a-token-of-the-application";

/// The people, and whether the portal lets them use the application.
const PEOPLE: [(&str, &str, bool); 2] = [("lisi", "李四", true), ("zhaomin", "赵敏", false)];

/// A running portal.
pub(crate) struct RecipePortal {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    /// The origin of menshen.
    menshen: Mutex<String>,
    /// Codes and tickets that were not redeemed; each begins with its person.
    codes: Mutex<HashSet<String>>,
}

impl RecipePortal {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _accepting: accepting,
        }
    }

    /// Sets the origin of menshen, to which the page of the portal sends people.
    pub(crate) fn set_menshen(&self, url: &str) {
        url.clone_into(&mut self.shared.menshen.lock().unwrap());
    }

    /// The URL of its login page and API without a trailing slash.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The page of the portal, on another site than menshen.
    pub(crate) fn home(&self) -> String {
        format!("{}/home", self.origin())
    }

    /// The connectors `qince` and `portal` of the recipes, with the addresses of this portal.
    pub(crate) fn connectors_toml(&self) -> String {
        let api = self.base_url();
        let secret = |name: &str| format!("{{ file = \"/etc/menshen/{name}.secret\" }}");
        let written = format!("\"{SECRET}\"");
        let qince = replaced(&tables(QINCE, "qince"), &secret("qince"), &written);
        let qince = replaced(&qince, "https://sso.qince.com", &api);
        let ticket = replaced(&tables(TICKET, "portal"), &secret("portal"), &written);
        let verify = "https://portal.corp.example/api";
        let ticket = replaced(&ticket, verify, &format!("{api}/api"));
        qince + &replaced(&ticket, "https://portal.corp.example", &self.origin())
    }

    fn origin(&self) -> String {
        format!("http://portal.corp.example:{}", self.address.port())
    }
}

/// The tables of the connector of a recipe, with a prefix for its login names.
fn tables(recipe: &str, id: &str) -> String {
    let header = format!("[connector.{id}]\n");
    let (_, tables) = recipe.split_once(&header).unwrap();
    let (tables, _) = tables.split_once("[[route]]").unwrap();
    format!("{header}login_prefix = \"{id}-\"\n{tables}")
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the recipe has no {from}: {text}");
    text.replace(from, to)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let serve = service_fn(|request| serve(&shared, request));
            // A connection error does not concern the portal.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .await;
        });
    }
}

async fn serve(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = pairs(request.uri().query().unwrap_or_default().as_bytes());
    let body = request.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let page = match path.as_str() {
        "/AUTHORIZE" => shared.authorize(&query),
        "/home" => shared.home(),
        _ => {
            let answer = shared.api(&path, &query, &body);
            return Ok(response("application/json", answer.to_string()));
        }
    };
    Ok(response("text/html; charset=utf-8", page))
}

fn response(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let kind = http::HeaderValue::from_static(kind);
    response.headers_mut().insert("content-type", kind);
    response
}

fn pairs(text: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn html(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content='width=device-width'><h1>{title}</h1>{content}"
    )
}

impl Shared {
    fn issue(&self, login: &str) -> String {
        let code = format!("{login}.{:x?}", menshen::keys::random::<8>());
        let code: String = code
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '.')
            .collect();
        self.codes.lock().unwrap().insert(code.clone());
        code
    }

    /// The login name and the name of the person of a code, once.
    fn redeem(&self, code: &str) -> Option<(&'static str, &'static str)> {
        let is_known = self.codes.lock().unwrap().remove(code);
        let person = PEOPLE
            .iter()
            .find(|(login, ..)| code.split('.').next() == Some(*login))?;
        (is_known && person.2).then_some((person.0, person.1))
    }

    /// The page at which a login begins: a link for each person.
    fn authorize(&self, query: &HashMap<String, String>) -> String {
        if query["app_id"] != "APP_ID" {
            return html("没有这个应用", "");
        }
        let links = PEOPLE.map(|(login, name, _)| {
            let mut back = url::Url::parse(&query["redirect_uri"]).unwrap();
            back.query_pairs_mut()
                .append_pair("code", &self.issue(login))
                .append_pair("state", &query["state"]);
            let back = back.as_str().replace('&', "&amp;");
            format!("<p><a data-userid={login} href=\"{back}\">{name}</a>")
        });
        html("勤策（模拟）", &links.concat())
    }

    /// The page of the portal: a form with a ticket for each person.
    fn home(&self) -> String {
        let menshen = self.menshen.lock().unwrap().clone();
        let forms = PEOPLE.map(|(login, name, _)| {
            let ticket = self.issue(login);
            format!(
                "<form method=post action='{menshen}/.menshen/enter/portal'>\
                 <input type=hidden name=ticket value='{ticket}'>\
                 <input type=hidden name=rd value='/dept/report?year=2026'>\
                 <button data-userid={login}>{name}</button></form>"
            )
        });
        html("门户（模拟）", &forms.concat())
    }

    fn api(&self, path: &str, query: &HashMap<String, String>, body: &[u8]) -> Value {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let refused = json!({ "return_code": 40001, "code": 40001 });
        match path {
            "/service/oauth/token"
                if json["app_id"] == "APP_ID" && json["app_secret"] == SECRET =>
            {
                let data = json!({ "access_token": TOKEN, "expires_in": 7200 });
                json!({ "return_code": 0, "return_data": data })
            }
            "/service/oauth/USER"
                if query
                    .get("access_token")
                    .is_some_and(|token| token == TOKEN) =>
            {
                let code = json["code"].as_str().unwrap_or_default();
                let person = self.redeem(code).map(|(login, name)| {
                    json!({ "id": format!("q-{login}"), "account": login, "name": name })
                });
                match person {
                    Some(person) => json!({ "return_code": 0, "return_data": person }),
                    None => refused,
                }
            }
            "/api/ticket/verify" => {
                let form = pairs(body);
                let signed = format!("wiki{}{}", form["ticket"], form["timestamp"]);
                let key =
                    aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
                let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
                let tag = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
                match self.redeem(&form["ticket"]) {
                    Some((login, name)) if form["sign"] == tag.collect::<String>() => {
                        let data = json!({ "userId": login, "loginName": login, "userName": name });
                        json!({ "code": 0, "data": data })
                    }
                    _ => refused,
                }
            }
            _ => refused,
        }
    }
}
