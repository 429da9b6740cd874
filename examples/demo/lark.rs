//! A simulated Lark (飞书) on loopback: its login page and its API.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo and the tests each use a part, and neither is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "lark/api.rs"]
mod api;
#[path = "lark/authorize.rs"]
mod authorize;
#[path = "lark/company.rs"]
mod company;
#[path = "lark/contacts.rs"]
mod contacts;
#[path = "lark/errors.rs"]
mod errors;
#[path = "lark/events.rs"]
mod events;
#[path = "lark/pages.rs"]
mod pages;
#[path = "lark/people.rs"]
mod people;
#[path = "lark/server.rs"]
mod server;
#[path = "lark/state.rs"]
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use url::Url;

pub use events::{
    ContactChange, DeliveredEvent, ENCRYPT_KEY, EventSealer, VERIFICATION_TOKEN, event,
};
pub use people::{
    APP_ID, APP_SECRET, Department, OTHER_APP_ID, OTHER_APP_SECRET, OTHER_TENANT_KEY, OUTSIDER,
    Permission, Person, TENANT_KEY, open_id, union_id,
};
pub use state::CodeRequest;

pub use super::simulated_http::Clock;
use super::simulated_http::RunningSimulation;
use server::Simulation;
use state::{Fault, State};

/// A running simulation; dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct Lark {
    simulation: RunningSimulation<State>,
}

impl Lark {
    /// Binds a free port and serves until dropped.
    ///
    /// # Errors
    /// No address can be bound.
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

    /// The URL without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.simulation.address)
    }

    /// The tables of a connector to this simulation; `lines` are further ones of its table `lark`.
    pub fn connector_toml(&self, id: &str, lines: &str) -> String {
        format!(
            "[connector.{id}]\ndisplay_name = {{ zh = \"飞书（模拟）\", en = \"Feishu (simulated)\" }}\n[connector.{id}.lark]\n\
             app_id = \"{APP_ID}\"\napp_secret = \"{APP_SECRET}\"\napi_base = \"{base}\"\n\
             accounts_base = \"{base}\"\n{lines}\n",
            base = self.base_url()
        )
    }

    /// The table of the events of this connector.
    pub fn events_toml(id: &str) -> String {
        format!(
            "[connector.{id}.lark.events]\nverification_token = \"{VERIFICATION_TOKEN}\"\n\
             encrypt_key = \"{ENCRYPT_KEY}\"\n"
        )
    }

    /// Registers an address to which logins may return (重定向 URL).
    pub fn register_redirect(&self, address: &str) {
        let mut state = self.simulation.state();
        state.redirects.push(address.to_owned());
    }

    /// Edits a person; a new one is active and visible.
    pub fn person(&self, user_id: &str, edit: impl FnOnce(&mut Person)) {
        let mut state = self.simulation.state();
        let existing = state.people.iter().position(|one| one.user_id == user_id);
        let index = existing.unwrap_or_else(|| {
            state.people.push(Person::new(user_id, user_id, &[]));
            state.people.len() - 1
        });
        edit(&mut state.people[index]);
    }

    /// Edits all people at once.
    pub fn people(&self, edit: impl FnOnce(&mut Vec<Person>)) {
        edit(&mut self.simulation.state().people);
    }

    /// Replaces all people and departments by those of a generated company, whose people are `user000000`,
    /// `user000001` … and whose departments are `od-1`, `od-2` …
    pub fn generate_company(&self, people: u32, departments: u32) {
        let mut state = self.simulation.state();
        state.departments = company::departments(departments);
        state.people = company::people(people, departments);
    }

    /// Removes a person, as when somebody leaves the company.
    pub fn delete_person(&self, user_id: &str) {
        let mut state = self.simulation.state();
        state.people.retain(|one| one.user_id != user_id);
    }

    /// Edits the departments.
    pub fn departments(&self, edit: impl FnOnce(&mut Vec<Department>)) {
        edit(&mut self.simulation.state().departments);
    }

    /// Takes a permission from the application, or gives it back.
    pub fn set_permission(&self, permission: Permission, is_granted: bool) {
        let mut state = self.simulation.state();
        match is_granted {
            true => state.permissions.insert(permission),
            false => state.permissions.remove(&permission),
        };
    }

    /// Limits what the application sees of the contacts to these departments and people; `None`: to nothing.
    pub fn set_contact_range(&self, range: Option<(&[&str], &[&str])>) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let range = range.map(|(departments, people)| (owned(departments), owned(people)));
        self.simulation.state().range = range;
    }

    /// Sets whose client logins come from.
    pub fn set_client_owner(&self, user_id: &str) {
        user_id.clone_into(&mut self.simulation.state().client_owner);
    }

    /// The code for a person who is unknown: 41012, or 41050 as for people who are not visible.
    pub fn set_unknown_person_code(&self, code: i64) {
        self.simulation.state().unknown_person_code = code;
    }

    /// Issues a code without a login page, as the SDK for mobile apps does.
    pub fn issue_code(&self, request: CodeRequest<'_>) -> String {
        let now = self.simulation.now();
        self.simulation.state().issue_code(request, now)
    }

    /// Expires or revokes every token of the application.
    pub fn revoke_tokens(&self) {
        self.simulation.state().revoke_tokens();
    }

    /// Sets where events are delivered.
    pub fn send_events_to(&self, url: Url) {
        self.simulation.state().event_url = Some(url);
    }

    /// The address of the management console.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::CONSOLE_PATH)
    }

    /// Never responds to requests for a path, until [`Lark::clear_faults`].
    pub fn hang(&self, path: &str) {
        self.set_fault(path, Fault::Hang);
    }

    /// Responds to the next `times` requests for a path with an error of Lark.
    pub fn fail(&self, path: &str, code: i64, times: usize) {
        self.set_fault(path, Fault::Fail { code, times });
    }

    /// Responds to the next `times` requests for a path with this status and body.
    pub fn answer_with(&self, path: &str, status: u16, body: impl Into<Bytes>, times: usize) {
        let body = body.into();
        self.set_fault(
            path,
            Fault::Answer {
                status,
                body,
                times,
            },
        );
    }

    /// Removes the faults of a path.
    pub fn clear_faults(&self, path: &str) {
        self.simulation.state().faults.remove(path);
    }

    /// The number of requests for a path, including failed ones.
    pub fn calls(&self, path: &str) -> usize {
        let state = self.simulation.state();
        state.calls.get(path).copied().unwrap_or(0)
    }

    /// The query of the last request for a path.
    pub fn last_query(&self, path: &str) -> Option<String> {
        self.simulation.state().last_query.get(path).cloned()
    }

    /// The JSON of the last request to the token endpoint.
    pub fn last_token_request(&self) -> Value {
        self.simulation.state().last_token_request.clone()
    }

    /// Advances the clock of the simulation.
    pub fn advance(&self, by: Duration) {
        self.simulation.advance(by);
    }

    /// The URL that the browser opens when this person confirms a login page.
    pub fn choose(login_page: &str, user_id: &str) -> String {
        pages::with_parameter(login_page, authorize::CHOICE, user_id)
    }

    /// The URL that the browser opens when the person refuses.
    pub fn refuse(login_page: &str) -> String {
        pages::with_parameter(login_page, authorize::REFUSAL, "1")
    }

    fn set_fault(&self, path: &str, fault: Fault) {
        let mut state = self.simulation.state();
        state.faults.insert(path.to_owned(), fault);
    }
}
