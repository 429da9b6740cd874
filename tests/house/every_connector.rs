//! What holds for every connector: one table for all of them, so that none is left out.
//!
//! The connectors whose source sends the browser back with a code are in [`code_source`]; those and all others
//! are on one site in [`site`].

mod code_source;
mod faults;
mod lies;
mod people;
mod refused_people;
mod responses;
mod secrets;
mod site;
