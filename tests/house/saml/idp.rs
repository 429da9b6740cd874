//! `Idp`: a simulated SAML identity provider on loopback that follows the protocol unless a test changes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::clock::{Clock, Timestamp};
use menshen::login::connector::kit::xml::Element;
use url::form_urlencoded;

use super::encryption::Encryption;
use super::keys::{self, TestKey};
use super::logout_message::LogoutMessage;
use super::metadata_document::MetadataDocument;
use super::response::{
    ASSERTION, NameId, PASSWORD, PERSISTENT, SUCCESS, SamlResponse, saml_attribute,
};
use super::signer::{Signer, honest};
use super::{XML_LIMITS, deflate};
use crate::upstream::{ReceivedRequest as HttpRequest, Reply, TempFolder, Upstream};

/// A running identity provider.
#[derive(Debug)]
pub(crate) struct Idp {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
    pub(crate) clock: Clock,
    /// The key and the certificate of menshen.
    folder: TempFolder,
}

/// Which parts are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) assertion: bool,
    pub(crate) response: bool,
}

pub(crate) const UNSIGNED: Signed = Signed {
    assertion: false,
    response: false,
};
pub(crate) const ASSERTION_ONLY: Signed = Signed {
    assertion: true,
    response: false,
};
pub(crate) const RESPONSE_ONLY: Signed = Signed {
    assertion: false,
    response: true,
};
pub(crate) const BOTH: Signed = Signed {
    assertion: true,
    response: true,
};

/// A person who is signed in at the identity provider.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name_id: NameId,
    /// Absent: just now.
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) context: &'static str,
    /// The elements inside `AttributeStatement`.
    pub(crate) attributes: String,
}

impl Person {
    /// A person with this user name and this persistent NameID.
    pub(crate) fn named(uid: &str) -> Self {
        Self {
            name_id: NameId {
                qualifiers: "",
                format: Some(PERSISTENT),
                xml: format!("p-{uid}"),
            },
            authenticated_at: None,
            context: PASSWORD,
            attributes: saml_attribute("uid", None, &[uid]),
        }
    }
}

/// The data of the identity provider. Tests edit it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) person: Person,
    pub(crate) signer: Signer,
    pub(crate) signed: Signed,
    pub(crate) encryption: Option<Encryption>,
    pub(crate) metadata: MetadataDocument,
    /// Replaces the metadata.
    pub(crate) metadata_answer: Option<(u16, String)>,
    /// Changes each response before it is written.
    pub(crate) edit: Option<fn(&mut SamlResponse)>,
    /// The status of each answer to a logout request.
    pub(crate) logout_status: &'static str,
    /// Whether the answer to a logout request is signed by somebody else.
    pub(crate) logout_signer: Signer,
    /// Whether the server closes every connection without a response.
    pub(crate) down: bool,
    /// Login and logout requests of menshen, oldest first.
    received: Vec<ReceivedRequest>,
    /// The session index of each assertion, with its NameID, oldest first.
    pub(crate) sessions: Vec<(String, String)>,
    metadata_requests: usize,
}

/// How a message arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Binding {
    #[default]
    Redirect,
    Post,
}

/// A message of menshen.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceivedRequest {
    pub(crate) binding: Binding,
    pub(crate) id: String,
    pub(crate) xml: String,
    pub(crate) relay_state: Option<String>,
    /// The query as it was sent.
    pub(crate) query: String,
}

impl ReceivedRequest {
    /// The root element.
    pub(crate) fn root(&self) -> Element {
        Element::read(self.xml.as_bytes(), XML_LIMITS).unwrap()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.root().attribute(name).map(str::to_owned)
    }
}

impl Idp {
    /// Starts an identity provider at which zhangsan is signed in.
    pub(crate) async fn start() -> Self {
        menshen::keys::install_crypto();
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let state = Arc::new(Mutex::new(State {
            person: Person::named("zhangsan"),
            signer: honest(),
            signed: ASSERTION_ONLY,
            encryption: None,
            metadata: MetadataDocument::default(),
            metadata_answer: None,
            edit: None,
            logout_status: SUCCESS,
            logout_signer: honest(),
            down: false,
            received: Vec::new(),
            sessions: Vec::new(),
            metadata_requests: 0,
        }));
        let (shared, now) = (Arc::clone(&state), clock.clone());
        let script = move |request: &HttpRequest| {
            let mut state = shared.lock().unwrap();
            state.answer(request, now.now())
        };
        let upstream = Upstream::start(script).await;
        state.lock().unwrap().metadata.base = upstream.url().to_owned();
        let folder = TempFolder::new();
        folder.write("sp.key", &keys::own().private_pem);
        folder.write("sp.pem", &keys::own().certificate_pem);
        Self {
            upstream,
            state,
            clock,
            folder,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.upstream.url())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn folder(&self) -> &TempFolder {
        &self.folder
    }

    pub(crate) fn metadata_requests(&self) -> usize {
        self.state().metadata_requests
    }

    /// `[connector.idp]` with our key, and further lines of `[connector.idp.saml]`.
    pub(crate) fn connector_toml(&self, lines: &str) -> String {
        let path = |name| self.folder.path(name).display().to_string();
        format!(
            "[connector.idp]\n[connector.idp.saml]\nmetadata = '{}'\nprivate_key = {{ file = '{}' }}\n\
             certificate = '{}'\n{lines}\n",
            self.url("/metadata"),
            path("sp.key"),
            path("sp.pem")
        )
    }

    /// The same without a key of ours.
    pub(crate) fn connector_toml_without_key(&self, lines: &str) -> String {
        let url = self.url("/metadata");
        format!("[connector.idp]\n[connector.idp.saml]\nmetadata = '{url}'\n{lines}\n")
    }

    /// The messages of menshen whose root has this name, oldest first.
    pub(crate) fn received(&self, name: &str) -> Vec<ReceivedRequest> {
        let state = self.state();
        let named = |request: &&ReceivedRequest| request.root().local_name() == name;
        state.received.iter().filter(named).cloned().collect()
    }

    /// The last login request of menshen.
    pub(crate) fn last_login(&self) -> ReceivedRequest {
        let received = self.received("AuthnRequest");
        received.last().expect("a login request").clone()
    }

    /// The honest response to a login request, about the person who is signed in.
    pub(crate) fn response_to(&self, request: &ReceivedRequest) -> SamlResponse {
        SamlResponse::to(request, &self.state().person, self.clock.now())
    }

    /// The response as it is sent: signed and encrypted.
    pub(crate) fn write(&self, response: &SamlResponse) -> String {
        self.state().write(response)
    }

    /// Publishes and uses another key, beside the first one or instead of it.
    pub(crate) fn change_key(&self, published: &[&'static TestKey], signing: &'static TestKey) {
        let mut state = self.state();
        state.metadata.keys = published.to_vec();
        state.signer = Signer::with(signing);
        state.logout_signer = Signer::with(signing);
    }
}

impl State {
    pub(crate) fn write(&self, response: &SamlResponse) -> String {
        let mut assertion = response.assertion.xml();
        if self.signed.assertion {
            assertion = self.signer.sign(&assertion, &response.assertion.id);
        }
        if let Some(encryption) = self.encryption {
            assertion = encryption.encrypt(&assertion);
        }
        let document = response.xml_with(&assertion);
        match self.signed.response {
            true => self.signer.sign(&document, &response.id),
            false => document,
        }
    }

    fn answer(&mut self, request: &HttpRequest, now: Timestamp) -> Reply {
        if self.down {
            return Reply::Close(Vec::new());
        }
        let target = request.message.target().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/metadata" => {
                self.metadata_requests += 1;
                let document = self.metadata.xml();
                match self.metadata_answer.clone() {
                    Some((status, body)) => html(status, &body.replace("METADATA", &document)),
                    None => html(200, &document),
                }
            }
            "/sso" => {
                let received = received(request, query);
                self.received.push(received.clone());
                self.respond(&received, now)
            }
            "/slo" => {
                let received = received(request, query);
                self.received.push(received.clone());
                match received.root().local_name() {
                    "LogoutRequest" => self.log_out(&received, now),
                    _ => html(200, "signed out at the identity provider"),
                }
            }
            _ => html(404, "nothing here"),
        }
    }

    /// A page with the response.
    fn respond(&mut self, request: &ReceivedRequest, now: Timestamp) -> Reply {
        let mut response = SamlResponse::to(request, &self.person, now);
        if let Some(edit) = self.edit {
            edit(&mut response);
        }
        let index = response.assertion.authn.as_ref();
        let index = index.and_then(|authn| authn.session_index.clone());
        let name = response.assertion.name_id.as_ref();
        if let (Some(index), Some(name)) = (index, name) {
            self.sessions.push((index, name.xml.clone()));
        }
        let acs = request.attribute("AssertionConsumerServiceURL");
        let acs = acs.unwrap_or_else(|| super::ACS.to_owned());
        let xml = self.write(&response);
        html(
            200,
            &form_page(&acs, "SAMLResponse", &xml, request.relay_state.as_deref()),
        )
    }

    /// The answer to a logout request, by the binding of the request.
    fn log_out(&mut self, request: &ReceivedRequest, now: Timestamp) -> Reply {
        let message = LogoutMessage::response(&request.id, self.logout_status, now);
        match request.binding {
            Binding::Redirect => {
                let to = message.redirect_url(&self.logout_signer, request.relay_state.as_deref());
                redirect(&to)
            }
            Binding::Post => {
                let xml = message.signed_xml(&self.logout_signer);
                let state = request.relay_state.as_deref();
                let page = form_page(super::LOGOUT, "SAMLResponse", &xml, state);
                html(200, &page)
            }
        }
    }
}

/// Reads a message from the query or from the form.
fn received(request: &HttpRequest, query: &str) -> ReceivedRequest {
    let is_post = request.message.start_line.starts_with("POST ");
    let text = match is_post {
        true => String::from_utf8(request.message.body.clone()).unwrap(),
        false => query.to_owned(),
    };
    let fields: BTreeMap<String, String> = form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    let message = fields
        .get("SAMLRequest")
        .or_else(|| fields.get("SAMLResponse"))
        .unwrap_or_else(|| panic!("no message: {text}"));
    let bytes = STANDARD.decode(message).unwrap();
    let xml = match is_post {
        true => String::from_utf8(bytes).unwrap(),
        false => deflate::inflated(&bytes),
    };
    let mut received = ReceivedRequest {
        binding: if is_post {
            Binding::Post
        } else {
            Binding::Redirect
        },
        id: String::new(),
        xml,
        relay_state: fields.get("RelayState").cloned(),
        query: text,
    };
    received.id = received.attribute("ID").unwrap();
    let issuer = received.root();
    let issuer = issuer.only_child(ASSERTION, "Issuer").unwrap().unwrap();
    assert!(!issuer.text().is_empty(), "{}", received.xml);
    received
}

/// A page whose form posts a message.
pub(crate) fn form_page(to: &str, field: &str, xml: &str, relay_state: Option<&str>) -> String {
    let message = STANDARD.encode(xml);
    let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;");
    let state = relay_state.map(|state| {
        let state = escaped(state);
        format!("<input type=\"hidden\" name=\"RelayState\" value=\"{state}\">")
    });
    format!(
        "<html><form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"{field}\" \
         value=\"{message}\">{}</form></html>",
        escaped(to),
        state.unwrap_or_default()
    )
}

fn html(status: u16, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n");
    Reply::KeepAlive(format!("{head}\r\n{body}").into_bytes())
}

fn redirect(to: &str) -> Reply {
    let head = format!("HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    Reply::KeepAlive(head.into_bytes())
}
