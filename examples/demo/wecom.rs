//! A simulated WeCom (企业微信) on loopback: its login pages and its server API.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo and the tests each use a part, and neither is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "wecom/api.rs"]
mod api;
#[path = "wecom/authorize.rs"]
mod authorize;
#[path = "wecom/company.rs"]
mod company;
#[path = "wecom/console.rs"]
mod console;
#[path = "wecom/events.rs"]
mod events;
#[path = "wecom/pages.rs"]
mod pages;
#[path = "wecom/people.rs"]
mod people;
#[path = "wecom/server.rs"]
mod server;
#[path = "wecom/state.rs"]
mod state;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;
use url::Url;

pub use events::{ContactChange, EVENT_AES_KEY, EVENT_TOKEN, EventSealer, SealedEvent};
pub use people::{
    AGENT_ID, App, Attribute, CONTACT_SECRET, CORP_ID, Department, Member, OTHER_AGENT_ID,
    OTHER_SECRET, OUTSIDER, SECRET, Tag,
};

pub use super::simulated_http::Clock;
use super::simulated_http::RunningSimulation;
use server::Simulation;
use state::{Fault, State};

/// The options of the simulation.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 selects a free port.
    pub address: SocketAddr,
    /// The clock for codes, tokens, and the bans of addresses that send wrong secrets.
    pub clock: Clock,
}

/// A running simulation; dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct WeCom {
    simulation: RunningSimulation<State>,
}

impl WeCom {
    /// Binds and serves until dropped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        let simulation = Simulation::new(State::new(), options.clock);
        let simulation =
            RunningSimulation::start(options.address, simulation, server::accept).await?;
        Ok(Self { simulation })
    }

    /// The URL without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.simulation.address)
    }

    /// The value for the configuration key `login_url`.
    pub fn login_url(&self) -> String {
        format!("{}/wwlogin/sso/login", self.base_url())
    }

    /// The value for the configuration key `authorize_url`.
    pub fn authorize_url(&self) -> String {
        format!("{}/connect/oauth2/authorize", self.base_url())
    }

    /// Sets the hosts, as `host` or `host:port`, that logins of an application may be redirected
    /// to.
    pub fn set_agent_domains(&self, agent_id: u64, domains: &[&str]) {
        let domains = domains
            .iter()
            .map(|domain| domain.to_ascii_lowercase())
            .collect();
        self.app(agent_id, |app| app.domains = domains);
    }

    /// Edits an application; does nothing if it does not exist.
    pub fn app(&self, agent_id: u64, edit: impl FnOnce(&mut App)) {
        let mut state = self.simulation.state();
        if let Some(app) = state
            .apps
            .iter_mut()
            .find(|app| app.agent_id == Some(agent_id))
        {
            edit(app);
        }
    }

    /// Whether an application receives personal fields, like those created before 2022-06-20.
    pub fn set_shows_personal_fields(&self, agent_id: u64, shows: bool) {
        self.app(agent_id, |app| app.shows_personal_fields = shows);
    }

    /// Edits a member; a new member is created active and visible.
    pub fn member(&self, userid: &str, edit: impl FnOnce(&mut Member)) {
        let mut state = self.simulation.state();
        let existing = state
            .members
            .iter()
            .position(|member| member.userid.eq_ignore_ascii_case(userid));
        let index = existing.unwrap_or_else(|| {
            let (userid, name) = (userid.to_owned(), userid.to_owned());
            let new_member = Member {
                userid,
                name,
                status: 1,
                visible: true,
                ..Member::default()
            };
            state.members.push(new_member);
            state.members.len() - 1
        });
        edit(&mut state.members[index]);
    }

    /// Removes a member, as when a person leaves the company.
    pub fn delete_member(&self, userid: &str) {
        self.simulation
            .state()
            .members
            .retain(|member| !member.userid.eq_ignore_ascii_case(userid));
    }

    /// Sets where events are delivered.
    pub fn send_events_to(&self, url: Url) {
        self.simulation.state().event_url = Some(url);
    }

    /// Signs and encrypts the event of a change, as it is delivered now.
    pub fn event(&self, change: ContactChange<'_>) -> SealedEvent {
        let now = self.simulation.now();
        EventSealer::default().seal(&change.message(now), now)
    }

    /// The address of the management console.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.base_url(), console::PATH)
    }

    /// Sets the status of a member: 1 active, 2 disabled, 4 not yet active, 5 left.
    pub fn set_status(&self, userid: &str, status: u8) {
        self.member(userid, |member| member.status = status);
    }

    /// Edits the tree of departments.
    pub fn departments(&self, edit: impl FnOnce(&mut Vec<Department>)) {
        edit(&mut self.simulation.state().departments);
    }

    /// Replaces all members and departments by those of a generated company, whose members are
    /// `user000000`, `user000001` … and whose departments are 1, 2 …
    pub fn generate_company(&self, members: u32, departments: u32) {
        let mut state = self.simulation.state();
        state.departments = company::departments(departments);
        state.members = company::members(members, departments);
    }

    /// Edits all members at once.
    pub fn members(&self, edit: impl FnOnce(&mut Vec<Member>)) {
        edit(&mut self.simulation.state().members);
    }

    /// Edits the tags.
    pub fn tags(&self, edit: impl FnOnce(&mut Vec<Tag>)) {
        edit(&mut self.simulation.state().tags);
    }

    /// Sets whose phone in-app logins come from; `CorpId/userid` is a person of a linked
    /// corporation.
    pub fn set_phone_owner(&self, userid: &str) {
        userid.clone_into(&mut self.simulation.state().phone_owner);
    }

    /// Makes the next code belong to a person who is not a member, regardless of the choice on the
    /// page.
    pub fn set_non_member_next(&self) {
        self.simulation.state().non_member_next = true;
    }

    /// Issues a code for [`AGENT_ID`] without a login page.
    ///
    /// `userid` may be [`OUTSIDER`] or `CorpId/userid`; `redirect_host` is `host` or `host:port`.
    pub fn issue_code(&self, userid: &str, redirect_host: &str) -> String {
        self.issue_code_for(Some(AGENT_ID), userid, redirect_host, false)
    }

    /// Issues a code for any application.
    pub fn issue_code_for(
        &self,
        agent_id: Option<u64>,
        userid: &str,
        redirect_host: &str,
        shares_personal_fields: bool,
    ) -> String {
        let now = self.simulation.now();
        let host = redirect_host.to_ascii_lowercase();
        self.simulation
            .state()
            .issue_code(userid, agent_id, &host, shares_personal_fields, now)
    }

    /// Sets the errcode for used codes: 40029 or 42022.
    pub fn set_used_code_error(&self, errcode: i64) {
        self.simulation.state().used_code_error = errcode;
    }

    /// Sets the errcode for expired codes: 40029 or 42003.
    pub fn set_expired_code_error(&self, errcode: i64) {
        self.simulation.state().expired_code_error = errcode;
    }

    /// Expires all issued tokens (42001).
    pub fn expire_tokens(&self) {
        let now = self.simulation.now();
        self.simulation.state().expire_tokens(now);
    }

    /// Revokes all issued tokens (40014).
    pub fn revoke_tokens(&self) {
        self.simulation.state().revoke_tokens();
    }

    /// Allows API requests only from these addresses (企业可信IP, else 60020); `None` allows all.
    pub fn set_allowed_ips(&self, allowed: Option<Vec<IpAddr>>) {
        self.simulation.state().allowed_ips = allowed;
    }

    /// Returns 404 for the current path for redeeming codes, like older private deployments.
    pub fn set_without_new_redeem_path(&self, without: bool) {
        self.simulation.state().without_new_redeem_path = without;
    }

    /// Never responds to requests for a path, until [`WeCom::clear_faults`].
    pub fn hang(&self, path: &str) {
        self.simulation
            .state()
            .faults
            .insert(path.into(), Fault::Hang);
    }

    /// Prepares the response to the next request for a path at once, and sends it after the notification.
    pub fn delay_next(&self, path: &str) -> Arc<Notify> {
        let release = Arc::new(Notify::new());
        let fault = Fault::Delay(Arc::clone(&release));
        self.simulation.state().faults.insert(path.into(), fault);
        release
    }

    /// Responds to the next `times` requests for a path with an errcode.
    pub fn fail(&self, path: &str, errcode: i64, times: usize) {
        self.simulation
            .state()
            .faults
            .insert(path.into(), Fault::Fail { errcode, times });
    }

    /// Responds to the next `times` requests for a path with status 200 and this body.
    pub fn answer(&self, path: &str, body: impl Into<Bytes>, times: usize) {
        self.answer_with(path, 200, body, times);
    }

    /// Responds to the next `times` requests for a path with this status and body.
    pub fn answer_with(&self, path: &str, status: u16, body: impl Into<Bytes>, times: usize) {
        let fault = Fault::Answer {
            status,
            body: body.into(),
            times,
        };
        self.simulation.state().faults.insert(path.into(), fault);
    }

    /// Removes the faults of a path.
    pub fn clear_faults(&self, path: &str) {
        self.simulation.state().faults.remove(path);
    }

    /// The number of requests for a path, including failed ones.
    pub fn calls(&self, path: &str) -> usize {
        self.simulation
            .state()
            .calls
            .get(path)
            .copied()
            .unwrap_or(0)
    }

    /// The query string of the last request for a path.
    pub fn last_query(&self, path: &str) -> Option<String> {
        self.simulation.state().last_query.get(path).cloned()
    }

    /// Advances the clock of the simulation.
    pub fn advance(&self, by: Duration) {
        self.simulation.advance(by);
    }

    /// The URL that the browser opens when this person scans the code of a login page.
    pub fn choose(login_page: &str, userid: &str) -> String {
        pages::with_parameter(login_page, authorize::CHOICE, userid)
    }

    /// The URL that the browser opens when the person refuses.
    pub fn refuse(page: &str) -> String {
        pages::with_parameter(page, authorize::REFUSAL, "1")
    }

    /// The URL that the browser opens when the person agrees to share personal fields.
    pub fn consent(page: &str) -> String {
        pages::with_parameter(page, authorize::CONSENT, "1")
    }
}

impl Default for Options {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            address,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
