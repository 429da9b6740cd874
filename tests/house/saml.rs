//! Logins with a SAML 2.0 identity provider.

mod algorithms;
mod check_online;
mod deflate;
mod encrypted;
mod encryption;
mod forged;
mod hostile_xml;
pub(crate) mod idp;
pub(crate) mod keys;
mod logout_at_idp;
mod logout_here;
mod logout_message;
mod logout_refused;
mod metadata;
mod metadata_document;
mod mutated;
mod name_ids;
mod own_metadata;
mod reload_user;
mod replayed;
mod requests;
mod requirements;
mod response;
mod rsa_sha1;
mod secrets;
mod signer;
mod signing_in;
mod transport;
mod unsigned_status;
mod unsolicited;
mod wrapped;
mod wrong_facts;

use menshen::face::page::Cause;
use menshen::login::connector::kit::xml::XmlLimits;

use crate::browser::{Browser, Page};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::wire::Answer;
use idp::{Idp, Person, ReceivedRequest};
use response::ASSERTION as ASSERTION_NAMESPACE;
use response::SamlResponse;

/// The `external_url` of these tests.
const HTTPS: &str = "https://sso.test";
/// Our assertion consumer service.
const ACS: &str = "https://sso.test/.menshen/callback/idp";
/// Our metadata, whose address is our entity ID.
const ENTITY_ID: &str = "https://sso.test/.menshen/saml/idp/metadata";
/// Our single logout service.
const LOGOUT: &str = "https://sso.test/.menshen/saml/idp/logout";

const XML_LIMITS: XmlLimits = XmlLimits {
    bytes: 1 << 20,
    elements: 10_000,
    depth: 64,
    attributes: 64,
};

/// The setup with these tables of connectors.
fn setup_with(idp: &Idp, tables: &str) -> Setup {
    Setup::default()
        .tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
        .external_url(HTTPS)
        .server("trusted_proxies = ['127.0.0.1']")
        .clock(&idp.clock)
}

/// The setup whose connector `idp` leads to the identity provider.
fn setup(idp: &Idp, lines: &str) -> Setup {
    setup_with(idp, &idp.connector_toml(lines))
}

/// An instance of menshen whose connector `idp` leads to the identity provider.
async fn start_menshen(idp: &Idp, lines: &str) -> Menshen {
    setup(idp, lines).start().await
}

fn start_url() -> String {
    format!("{HTTPS}/.menshen/start?connector=idp&rd=/echo%3Fa=b")
}

fn new_browser(menshen: &Menshen) -> Browser {
    Browser::new(menshen).over_https()
}

/// A login that has reached the identity provider.
#[derive(Debug)]
struct Attempt {
    browser: Browser,
    request: ReceivedRequest,
    /// The page of the identity provider, which posts its response.
    page: Page,
}

impl Attempt {
    async fn begin(menshen: &Menshen, idp: &Idp) -> Self {
        Self::begin_at(new_browser(menshen), idp, &start_url()).await
    }

    async fn begin_at(mut browser: Browser, idp: &Idp, url: &str) -> Self {
        let mut page = browser.follow(url).await;
        if page.answer.text().contains("name=\"SAMLRequest\"") {
            page = browser.submit(&page).await;
        }
        assert!(
            page.url.starts_with(&idp.url("/sso")),
            "{}: {}",
            page.url,
            page.answer.text()
        );
        Self {
            browser,
            request: idp.last_login(),
            page,
        }
    }

    /// The identity provider posts the response that it chose.
    async fn finish(&mut self) -> Page {
        self.browser.submit(&self.page).await
    }

    /// Posts this response in place of that of the identity provider.
    async fn answer(&mut self, xml: &str) -> Page {
        let state = self.request.relay_state.as_deref();
        post_response(&mut self.browser, xml, state).await
    }
}

/// Posts a response from a page of the identity provider.
async fn post_response(browser: &mut Browser, xml: &str, relay_state: Option<&str>) -> Page {
    let html = idp::form_page(ACS, "SAMLResponse", xml, relay_state);
    browser.submit(&page_of_idp(html)).await
}

fn page_of_idp(html: String) -> Page {
    Page {
        url: "https://idp.test/sso".to_owned(),
        answer: Answer {
            status: 200,
            headers: Vec::new(),
            body: html.into_bytes(),
        },
    }
}

/// Signs in with a new browser.
async fn sign_in(menshen: &Menshen, idp: &Idp) -> (Browser, Page) {
    let mut attempt = Attempt::begin(menshen, idp).await;
    let page = attempt.finish().await;
    (attempt.browser, page)
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{HTTPS}/echo")).await.status == 200
}

/// Asserts that the login worked, and for whom.
#[track_caller]
fn assert_signed_in(page: &Page, login: &str, what: &str) {
    let text = page.answer.text();
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "https://sso.test/echo?a=b"),
        "{what}: {text}"
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login], "{what}");
}

/// Asserts that the login was refused with this page, and that the audit log says why.
#[track_caller]
fn assert_refused(menshen: &Menshen, page: &Page, cause: Cause, reason: &str, what: &str) {
    let text = page.answer.text();
    let error = last_refusal(menshen);
    assert_eq!(page.cause(), Some(cause), "{what}: {error} {text}");
    assert!(error.contains(reason), "{what}: {reason}: {error}");
    // The page does not say which check failed.
    assert!(
        reason.is_empty() || !text.contains(reason),
        "{what}: {text}"
    );
}

/// The error in the last audit record, which must be of a refused login.
#[track_caller]
fn last_refusal(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}

/// What is done to a response before it is signed, and a part of the reason in the audit log.
type Edit = (&'static str, fn(&mut SamlResponse), &'static str);

/// Asserts that each edited response is refused as invalid, although the identity provider signs it, and
/// that the response without the edit signs in.
async fn assert_edits_refused(menshen: &Menshen, idp: &Idp, edits: &[Edit]) {
    for (what, edit, reason) in edits {
        let mut attempt = Attempt::begin(menshen, idp).await;
        let mut response = idp.response_to(&attempt.request);
        edit(&mut response);
        let page = attempt.answer(&idp.write(&response)).await;
        assert_refused(menshen, &page, Cause::InvalidProviderResponse, reason, what);
        assert!(!is_signed_in(&mut attempt.browser).await, "{what}");
    }
    let (_, page) = sign_in(menshen, idp).await;
    assert_signed_in(&page, "zhangsan", "the unedited response");
}

/// What is done to a response that still counts.
type HarmlessEdit = (&'static str, fn(&mut SamlResponse));

/// Asserts that each edited response signs zhangsan in.
async fn assert_edits_accepted(menshen: &Menshen, idp: &Idp, edits: &[HarmlessEdit]) {
    for (what, edit) in edits {
        let mut attempt = Attempt::begin(menshen, idp).await;
        let mut response = idp.response_to(&attempt.request);
        edit(&mut response);
        let page = attempt.answer(&idp.write(&response)).await;
        assert_signed_in(&page, "zhangsan", what);
    }
}

/// Makes a document in place of the honest response, and a part of the reason in the audit log.
type Document = (
    &'static str,
    fn(&Idp, &SamlResponse) -> String,
    &'static str,
);

/// Asserts that each document is refused as invalid, and that the honest one signs in.
async fn assert_documents_refused(menshen: &Menshen, idp: &Idp, documents: &[Document]) {
    for (what, document, reason) in documents {
        let mut attempt = Attempt::begin(menshen, idp).await;
        let response = idp.response_to(&attempt.request);
        let page = attempt.answer(&document(idp, &response)).await;
        assert_refused(menshen, &page, Cause::InvalidProviderResponse, reason, what);
        assert!(!is_signed_in(&mut attempt.browser).await, "{what}");
    }
    let (_, page) = sign_in(menshen, idp).await;
    assert_signed_in(&page, "zhangsan", "the honest document");
}
