//! A simulated Yunzhijia (云之家) on loopback: its QR page, the workbench of its app, its API, and the contacts of
//! a team.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo and the tests each use a part, and neither is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "yunzhijia/api.rs"]
mod api;
#[path = "yunzhijia/contacts.rs"]
mod contacts;
#[path = "yunzhijia/pages.rs"]
mod pages;
#[path = "yunzhijia/people.rs"]
mod people;
#[path = "yunzhijia/server.rs"]
mod server;
#[path = "yunzhijia/state.rs"]
mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use serde_json::Value;

pub use people::{APP_ID, APP_SECRET, Department, EID, OTHER_EID, Person};

pub use super::simulated_http::Clock;
use super::simulated_http::RunningSimulation;
use server::Simulation;
use state::{Fault, State};

/// A running simulation; dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct Yunzhijia {
    simulation: RunningSimulation<State>,
}

impl Yunzhijia {
    /// Binds a free port and serves until dropped.
    ///
    /// # Errors
    /// No address can be bound.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), clock).await
    }

    /// The same at this address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn start_at(address: SocketAddr, clock: Clock) -> io::Result<Self> {
        let simulation = Simulation::new(State::new(), clock);
        let simulation = RunningSimulation::start(address, simulation, server::accept).await?;
        Ok(Self { simulation })
    }

    /// The URL without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.simulation.address)
    }

    /// The tables of a connector to this simulation; `lines` are further ones of its table `yunzhijia`.
    pub fn connector_toml(&self, id: &str, lines: &str) -> String {
        format!(
            "[connector.{id}]\ndisplay_name = {{ zh = \"云之家（模拟）\", en = \"Yunzhijia (simulated)\" }}\n[connector.{id}.yunzhijia]\n\
             app_id = \"{APP_ID}\"\napp_secret = \"{APP_SECRET}\"\neid = \"{EID}\"\n\
             base = \"{base}\"\n{lines}\n",
            base = self.base_url()
        )
    }

    /// The address of the workbench, from which people open the application.
    pub fn workbench_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::WORKBENCH_PATH)
    }

    /// The address of the management console.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.base_url(), pages::CONSOLE_PATH)
    }

    /// Sets the home address of the application.
    pub fn set_home(&self, url: &str) {
        url.clone_into(&mut self.simulation.state().home);
    }

    /// Edits a person; a new one belongs to the team.
    pub fn person(&self, openid: &str, edit: impl FnOnce(&mut Person)) {
        let mut state = self.simulation.state();
        let existing = state.people.iter().position(|one| one.openid == openid);
        let index = existing.unwrap_or_else(|| {
            state.people.push(Person::new(openid, openid, ""));
            state.people.len() - 1
        });
        edit(&mut state.people[index]);
    }

    /// Removes a person from the team and from the contacts.
    pub fn delete_person(&self, openid: &str) {
        let mut state = self.simulation.state();
        state.people.retain(|one| one.openid != openid);
    }

    /// Edits the departments.
    pub fn departments(&self, edit: impl FnOnce(&mut Vec<Department>)) {
        edit(&mut self.simulation.state().departments);
    }

    /// Issues a ticket of a person, as the app does when they open the application.
    pub fn issue_ticket(&self, openid: &str) -> String {
        let now = self.simulation.now();
        self.simulation.state().issue_ticket(openid, now)
    }

    /// Revokes all tokens of the application.
    pub fn revoke_tokens(&self) {
        self.simulation.state().tokens.clear();
    }

    /// Never responds to requests for a path, until [`Yunzhijia::clear_faults`].
    pub fn hang(&self, path: &str) {
        self.set_fault(path, Fault::Hang);
    }

    /// Refuses the next `times` requests for a path with this code and message.
    pub fn fail(&self, path: &str, code: i64, message: &str, times: usize) {
        let body = api::refusal(code, message).to_string();
        self.answer_with(path, 200, &body, times);
    }

    /// Responds to the next `times` requests for a path with this status and body.
    pub fn answer_with(&self, path: &str, status: u16, body: &str, times: usize) {
        let body = body.to_owned();
        let fault = Fault::Answer {
            status,
            body: body.into(),
            times,
        };
        self.set_fault(path, fault);
    }

    /// Closes every connection without a response, or no longer.
    pub fn set_down(&self, is_down: bool) {
        self.simulation.state().is_down = is_down;
    }

    /// Removes the faults of all paths.
    pub fn clear_faults(&self) {
        self.simulation.state().faults.clear();
    }

    /// The number of requests for a path, including failed ones.
    pub fn calls(&self, path: &str) -> usize {
        self.bodies(path).len()
    }

    /// The bodies of all requests for a path, a form as a JSON object.
    pub fn bodies(&self, path: &str) -> Vec<Value> {
        let state = self.simulation.state();
        state.bodies.get(path).cloned().unwrap_or_default()
    }

    /// Every ticket and token that was issued.
    pub fn issued(&self) -> Vec<String> {
        self.simulation.state().issued.clone()
    }

    /// Advances the clock of the simulation.
    pub fn advance(&self, by: Duration) {
        self.simulation.advance(by);
    }

    /// The URL that the browser opens when this person scans the code of a QR page.
    pub fn choose(page: &str, openid: &str) -> String {
        format!("{page}&{}={openid}", pages::CHOICE)
    }

    fn set_fault(&self, path: &str, fault: Fault) {
        let mut state = self.simulation.state();
        state.faults.insert(path.to_owned(), fault);
    }
}
