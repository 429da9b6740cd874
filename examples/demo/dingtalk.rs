//! A simulated DingTalk (钉钉) on loopback: its login page, its two server APIs, and its events.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo and the tests each use a part, and neither is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "dingtalk/admin.rs"]
mod admin;
#[path = "dingtalk/api.rs"]
mod api;
#[path = "dingtalk/company.rs"]
mod company;
#[path = "dingtalk/events.rs"]
mod events;
#[path = "dingtalk/old_api.rs"]
mod old_api;
#[path = "dingtalk/pages.rs"]
mod pages;
#[path = "dingtalk/people.rs"]
mod people;
#[path = "dingtalk/server.rs"]
mod server;
#[path = "dingtalk/state.rs"]
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;
use url::Url;

pub use events::{DirectoryEvent, EVENT_AES_KEY, EVENT_TOKEN, is_success, seal, sealer};
pub use people::{
    APP_KEY, APP_SECRET, CORP_ID, Department, EXTERNAL, Member, OTHER_CORP_ID, SSO_SECRET, STRANGER,
};
pub use state::CodeKind;

use super::simulated_http::RunningSimulation;
use server::Simulation;
use state::{Fault, State};

/// A running simulation; dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct DingTalk {
    simulation: RunningSimulation<State>,
}

impl DingTalk {
    /// Binds a free port and serves until dropped.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// The same at this address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn start_at(address: SocketAddr) -> io::Result<Self> {
        let simulation = Simulation::new(State::new(), Arc::new(SystemTime::now));
        let simulation = RunningSimulation::start(address, simulation, server::accept).await?;
        Ok(Self { simulation })
    }

    /// The URL without a trailing slash: the value of `api_base` and `oapi_base`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.simulation.address)
    }

    /// The value for the configuration key `login_url`.
    pub fn login_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::LOGIN_PATH)
    }

    /// The value for the configuration key `jsapi_url`: a library for a page in the client of the
    /// [`Self::set_phone_owner`].
    pub fn jsapi_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::JSAPI_PATH)
    }

    /// The address of the management console.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::CONSOLE_PATH)
    }

    /// The keys of `[connector.ID.dingtalk]` that lead here.
    pub fn settings(&self) -> String {
        format!(
            "app_key = \"{APP_KEY}\"\napp_secret = \"{APP_SECRET}\"\ncorp_id = \"{CORP_ID}\"\n\
             api_base = \"{base}\"\noapi_base = \"{base}\"\nlogin_url = \"{login}\"\n\
             jsapi_url = \"{jsapi}\"\n",
            base = self.base_url(),
            login = self.login_url(),
            jsapi = self.jsapi_url(),
        )
    }

    /// Sets the URLs that the login page may redirect to (重定向URL).
    pub fn set_redirect_urls(&self, urls: &[&str]) {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        self.simulation.state().redirect_urls = urls;
    }

    /// Edits a member; a new member is active and visible.
    pub fn member(&self, userid: &str, edit: impl FnOnce(&mut Member)) {
        let mut state = self.simulation.state();
        let existing = state.members.iter().position(|one| one.userid == userid);
        let index = existing.unwrap_or_else(|| {
            state.members.push(Member::new(userid, userid, &[1]));
            state.members.len() - 1
        });
        edit(&mut state.members[index]);
    }

    /// Edits all members at once.
    pub fn members(&self, edit: impl FnOnce(&mut Vec<Member>)) {
        edit(&mut self.simulation.state().members);
    }

    /// Replaces all members and departments by those of a generated company, whose members are
    /// `user000000`, `user000001` … and whose departments are 1, 2 …
    pub fn generate_company(&self, members: u32, departments: u32) {
        let mut state = self.simulation.state();
        state.departments = company::departments(departments);
        state.members = company::members(members, departments);
    }

    /// Removes a member, as when a person leaves the company.
    pub fn delete_member(&self, userid: &str) {
        self.members(|members| members.retain(|one| one.userid != userid));
    }

    /// Edits the departments.
    pub fn departments(&self, edit: impl FnOnce(&mut Vec<Department>)) {
        edit(&mut self.simulation.state().departments);
    }

    /// Takes a permission from the application.
    pub fn deny_permission(&self, permission: &str) {
        self.simulation.state().denied.insert(permission.to_owned());
    }

    /// Gives it back.
    pub fn grant_permission(&self, permission: &str) {
        self.simulation.state().denied.remove(permission);
    }

    /// Sets whose client the library of [`Self::jsapi_url`] runs in.
    pub fn set_phone_owner(&self, userid: &str) {
        userid.clone_into(&mut self.simulation.state().phone_owner);
    }

    /// Issues a code without a page.
    pub fn issue_code(&self, kind: CodeKind, userid: &str) -> String {
        let now = self.simulation.now();
        self.simulation.state().issue_code(kind, userid, now)
    }

    /// The URL that the browser opens when this person scans the code of a login page.
    pub fn choose(login_page: &str, userid: &str) -> String {
        pages::with_parameter(login_page, pages::CHOICE, userid)
    }

    /// The same, and the person chooses this organisation.
    pub fn choose_with(login_page: &str, userid: &str, corp_id: &str) -> String {
        let page = Self::choose(login_page, userid);
        pages::with_parameter(&page, pages::ORGANISATION, corp_id)
    }

    /// The URL that the browser opens when the person refuses.
    pub fn refuse(page: &str) -> String {
        pages::with_parameter(page, pages::REFUSAL, "1")
    }

    /// Returns codes in `code` as well, or only there, as some versions do.
    pub fn set_code_parameters(&self, parameters: &'static [&'static str]) {
        self.simulation.state().code_parameters = parameters;
    }

    /// Expires all issued tokens of the application (42001).
    pub fn expire_tokens(&self) {
        self.simulation.state().token_error = Some(42001);
        self.simulation.state().tokens.clear();
    }

    /// Revokes all issued tokens of the application (40014).
    pub fn revoke_tokens(&self) {
        self.simulation.state().token_error = None;
        self.simulation.state().tokens.clear();
    }

    /// Whether an invalid token is reported as 88 with a `sub_code`, or with its own code.
    pub fn set_gateway_errors(&self, uses: bool) {
        self.simulation.state().uses_gateway_errors = uses;
    }

    /// Sets where events are delivered.
    pub fn send_events_to(&self, url: Url) {
        self.simulation.state().event_url = Some(url);
    }

    /// Never responds to requests for a path, until [`Self::clear_faults`].
    pub fn hang(&self, path: &str) {
        self.set_fault(path, Fault::Hang);
    }

    /// Prepares the response to the next request for a path at once, and sends it after the notification.
    pub fn delay_next(&self, path: &str) -> Arc<Notify> {
        let release = Arc::new(Notify::new());
        self.set_fault(path, Fault::Delay(Arc::clone(&release)));
        release
    }

    /// Responds to requests for a path of the older API with an errcode.
    pub fn fail(&self, path: &str, errcode: i64) {
        let body = old_api::error(errcode).to_string();
        self.answer(path, 200, body);
    }

    /// Responds to requests for a path with this status and body.
    pub fn answer(&self, path: &str, status: u16, body: impl Into<Bytes>) {
        let body = body.into();
        self.set_fault(path, Fault::Answer { status, body });
    }

    /// Removes the fault of a path.
    pub fn clear_faults(&self, path: &str) {
        self.simulation.state().faults.remove(path);
    }

    fn set_fault(&self, path: &str, fault: Fault) {
        self.simulation.state().faults.insert(path.into(), fault);
    }

    /// The number of requests for a path, including failed ones.
    pub fn calls(&self, path: &str) -> usize {
        let state = self.simulation.state();
        state.calls.get(path).copied().unwrap_or(0)
    }

    /// The query and the body of the last request for a path.
    pub fn last_request(&self, path: &str) -> (String, String) {
        let state = self.simulation.state();
        state.last_requests.get(path).cloned().unwrap_or_default()
    }

    /// Every token, code and secret that was issued or sent, for tests that look for them in logs.
    pub fn secrets(&self) -> Vec<String> {
        self.simulation.state().secrets()
    }

    /// Advances the clock of the simulation.
    pub fn advance(&self, by: Duration) {
        self.simulation.advance(by);
    }
}
