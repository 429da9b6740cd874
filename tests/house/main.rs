//! The tests that need no other program: one binary, a module for each subject.
#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test or its helpers is a failed test"
)]

mod access_tokens;
mod admin;
mod app_token;
mod assertion;
mod audit;
mod browser;
mod by_address;
mod bytes;
mod callback_addresses;
mod callbacks;
mod cas;
mod checking;
mod chinese;
mod closing;
mod command;
mod conf;
mod connector_features;
mod connectors;
mod console;
mod cookie_domains;
mod custom;
mod dingtalk;
mod directory_sync;
mod drop_in;
mod embedding;
mod every_connector;
mod explain;
mod ext_authz;
mod floors;
mod forged_marks;
mod forwarding;
mod frames;
mod front_end;
mod hengshi;
mod hostile;
mod hosts;
mod identity;
mod interleavings;
mod jwt;
mod lark_login;
mod ldap;
mod listening;
mod local;
mod log_lines;
mod logging_in;
mod login_limits;
mod members;
mod mirror;
mod misbehaving;
mod oauth2;
mod oidc;
mod own_pages;
mod own_paths;
mod pages;
mod passing;
mod paths;
mod people;
mod problems;
mod programs;
mod provider;
mod provider_conformance;
mod provider_logout;
mod raw_connection;
mod readme;
mod records;
mod relay;
mod reload_user;
mod reloading;
mod return_addresses;
mod saml;
mod seeded_passwords;
mod sessions;
mod settings;
mod setup;
mod shared_cookies;
mod signing_out;
mod smoke;
mod source_apps;
mod step_up;
mod stores;
mod test_request;
mod ticket_theft;
mod tls;
mod token_people;
mod troubles;
mod upstream;
mod wecom_events;
mod wire;
mod wording;
mod yunzhijia;

#[path = "../../examples/demo/dingtalk.rs"]
mod dingtalk_source;
#[path = "../../examples/demo/lark.rs"]
mod lark;
#[path = "../../examples/demo/ldap_directory.rs"]
mod ldap_directory;
#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
#[path = "../../examples/demo/simulated_http.rs"]
mod simulated_http;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
#[path = "../../examples/demo/yunzhijia.rs"]
mod yunzhijia_source;
