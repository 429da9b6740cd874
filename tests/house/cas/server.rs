//! `CasServer`: a simulated CAS server on loopback that follows the protocol unless a test changes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use url::form_urlencoded;

use crate::raw_connection::Message;
use crate::upstream::{ReceivedRequest, Reply, Upstream};

/// The callback URL of the proxy that requests proxy tickets.
pub(crate) const PROXY: &str = "https://portal.corp.example/proxy?id=7";

/// The namespace of the answers.
pub(crate) const NAMESPACE: &str = "http://www.yale.edu/tp/cas";

/// A running CAS server.
#[derive(Debug)]
pub(crate) struct CasServer {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

/// The data of the server. Tests edit it.
#[derive(Debug)]
pub(crate) struct State {
    /// Who is signed in; nobody if empty.
    pub(crate) user: String,
    /// Elements inside `authenticationSuccess` after the user.
    pub(crate) attributes: String,
    /// Replaces the answers to the next validations; `OK` stands for the honest answer to this ticket.
    pub(crate) answers: VecDeque<(u16, String)>,
    /// Replaces the parameters of the next returns to the service; `TICKET` stands for the ticket.
    pub(crate) returns: VecDeque<String>,
    /// Whether `renew` at the login page is ignored, as by a server that does not support it.
    pub(crate) ignores_renew: bool,
    /// Whether the server closes every connection without a response.
    pub(crate) down: bool,
    /// Every ticket, oldest first.
    pub(crate) issued: Vec<String>,
    valid: BTreeMap<String, ValidTicket>,
}

#[derive(Clone, Debug)]
struct ValidTicket {
    service: String,
    user: String,
    /// Whether the person entered the password for it.
    is_renewed: bool,
    /// The proxy that requested it.
    proxy: Option<String>,
}

impl CasServer {
    /// Starts a server at which zhangsan is signed in.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            user: "zhangsan".to_owned(),
            attributes: String::new(),
            answers: VecDeque::new(),
            returns: VecDeque::new(),
            ignores_renew: false,
            down: false,
            issued: Vec::new(),
            valid: BTreeMap::new(),
        }));
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |request| shared.lock().unwrap().answer(request)).await;
        Self { upstream, state }
    }

    /// The base URL, for the setting `url`.
    pub(crate) fn url(&self) -> String {
        format!("{}/cas", self.upstream.url())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// `[connector.portal]` with this server, and further lines of `[connector.portal.cas]`.
    pub(crate) fn connector_toml(&self, lines: &str) -> String {
        let url = self.url();
        format!("[connector.portal]\n[connector.portal.cas]\nurl = \"{url}\"\n{lines}\n")
    }

    /// The queries of all requests for a path below the base URL.
    pub(crate) fn queries(&self, path: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!("/cas{path}");
        let received = self.upstream.received().into_iter();
        let messages = received.map(|request| request.message);
        messages
            .filter(|message: &Message| message.target().split('?').next() == Some(&path))
            .map(|message| parse_query(message.target()))
            .collect()
    }

    /// The paths and queries of all validations, oldest first.
    pub(crate) fn validations(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let received = self.upstream.received().into_iter();
        let targets = received.map(|request| request.message.target().to_owned());
        targets
            .filter(|target| target.contains("alidate?"))
            .map(|target| {
                let path = target.split('?').next().unwrap();
                (
                    path.trim_start_matches("/cas").to_owned(),
                    parse_query(&target),
                )
            })
            .collect()
    }

    /// Replaces the answer to the next validation, with HTTP status 200.
    pub(crate) fn answer_next(&self, answer: &str) {
        self.state().answers.push_back((200, answer.to_owned()));
    }

    /// A proxy requests a ticket of the person for a service.
    pub(crate) fn proxy_ticket(&self, service: &str, proxy: &str) -> String {
        let mut state = self.state();
        let ticket = ValidTicket {
            service: service.to_owned(),
            user: state.user.clone(),
            is_renewed: false,
            proxy: Some(proxy.to_owned()),
        };
        state.issue("PT", ticket)
    }

    /// A ticket of the person for a service, as a browser would get it.
    pub(crate) fn service_ticket(&self, service: &str) -> String {
        let mut state = self.state();
        let ticket = ValidTicket {
            service: service.to_owned(),
            user: state.user.clone(),
            is_renewed: true,
            proxy: None,
        };
        state.issue("ST", ticket)
    }
}

impl State {
    fn answer(&mut self, request: &ReceivedRequest) -> Reply {
        let target = request.message.target().to_owned();
        if self.down {
            return Reply::Close(Vec::new());
        }
        let path = target.split('?').next().unwrap_or_default();
        let query = parse_query(&target);
        match path.strip_prefix("/cas").unwrap_or_default() {
            "/login" => self.login(&query),
            "/logout" => match query.get("service") {
                Some(service) => redirect(service),
                None => page(200, "signed out"),
            },
            path if path.ends_with("alidate") => {
                let honest = self.validate(path, &query);
                match self.answers.pop_front() {
                    Some((status, answer)) => page(status, &answer.replace("OK", &honest)),
                    None => page(200, &honest),
                }
            }
            _ => page(404, "nothing here"),
        }
    }

    /// Redirects back at once. The person enters the password at once, too, if `renew` demands it.
    fn login(&mut self, query: &BTreeMap<String, String>) -> Reply {
        let Some(service) = query.get("service") else {
            return page(200, "welcome");
        };
        let with = |parameter: &str| {
            let separator = if service.contains('?') { '&' } else { '?' };
            redirect(&format!("{service}{separator}{parameter}"))
        };
        if self.user.is_empty() {
            return match query.get("gateway") {
                Some(_) => redirect(service),
                None => page(200, "enter your password"),
            };
        }
        let is_renewed = query.contains_key("renew") && !self.ignores_renew;
        let ticket = ValidTicket {
            service: service.clone(),
            user: self.user.clone(),
            is_renewed,
            proxy: None,
        };
        let ticket = self.issue("ST", ticket);
        match self.returns.pop_front() {
            Some(parameters) => with(&parameters.replace("TICKET", &ticket)),
            None => with(&format!("ticket={ticket}")),
        }
    }

    fn issue(&mut self, prefix: &str, ticket: ValidTicket) -> String {
        let random = u64::from_ne_bytes(menshen::keys::random());
        let text = format!("{prefix}-{}-{random:016x}", self.issued.len() + 1);
        self.issued.push(text.clone());
        self.valid.insert(text.clone(), ticket);
        text
    }

    /// The answer to a validation, which uses the ticket up.
    fn validate(&mut self, path: &str, query: &BTreeMap<String, String>) -> String {
        let text = query.get("ticket").cloned().unwrap_or_default();
        let service = query.get("service").cloned().unwrap_or_default();
        let is_version_1 = path == "/validate";
        let outcome = match self.valid.remove(&text) {
            None => Err(("INVALID_TICKET", format!("ticket '{text}' not recognized"))),
            Some(ticket) if ticket.service != service => {
                let text = format!("ticket '{text}' is for another service than '{service}'");
                Err(("INVALID_SERVICE", text))
            }
            Some(ticket) if query.contains_key("renew") && !ticket.is_renewed => {
                Err(("INVALID_TICKET_SPEC", format!("ticket '{text}' is not new")))
            }
            Some(ticket) if ticket.proxy.is_some() && !path.ends_with("/proxyValidate") => {
                Err(("INVALID_TICKET_SPEC", format!("'{text}' is a proxy ticket")))
            }
            Some(ticket) => Ok(ticket),
        };
        match outcome {
            Ok(ticket) if is_version_1 => format!("yes\n{}\n", ticket.user),
            Err(_) if is_version_1 => "no\n\n".to_owned(),
            Ok(ticket) => {
                let proxies = ticket.proxy.map(|proxy| {
                    format!("<cas:proxies><cas:proxy>{proxy}</cas:proxy></cas:proxies>")
                });
                let attributes = match path.starts_with("/p3/") {
                    true => self.attributes.as_str(),
                    false => "",
                };
                let proxies = proxies.unwrap_or_default();
                success(&format!(
                    "<cas:user>{}</cas:user>{attributes}{proxies}",
                    ticket.user
                ))
            }
            Err((code, text)) => failure(code, &text),
        }
    }
}

/// The answer for a valid ticket with this content.
pub(crate) fn success(content: &str) -> String {
    format!(
        "<cas:serviceResponse xmlns:cas=\"{NAMESPACE}\">\n<cas:authenticationSuccess>{content}\
         </cas:authenticationSuccess>\n</cas:serviceResponse>\n"
    )
}

/// The answer for an invalid ticket.
pub(crate) fn failure(code: &str, text: &str) -> String {
    format!(
        "<cas:serviceResponse xmlns:cas=\"{NAMESPACE}\">\n<cas:authenticationFailure \
         code=\"{code}\">{text}</cas:authenticationFailure>\n</cas:serviceResponse>\n"
    )
}

fn page(status: u16, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n");
    Reply::KeepAlive(format!("{head}\r\n{body}").into_bytes())
}

fn redirect(to: &str) -> Reply {
    let head = format!("HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    Reply::KeepAlive(head.into_bytes())
}

/// The query of a target. Panics if a parameter is repeated.
fn parse_query(target: &str) -> BTreeMap<String, String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let all: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let map: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), map.len(), "a parameter is repeated: {target}");
    map
}
