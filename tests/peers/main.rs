//! Tests against real programs: Chromium, nginx and HAProxy from Debian; Caddy, Traefik and Envoy
//! by pip; oidc-provider from npm; Keycloak by Maven; applications in Python, Java and Go; git,
//! svn, rclone and curl with Apache; Flask, Django, JupyterLab, Express, Node-RED, Spring Boot and PHP; wechatpy, jwcrypto, the SDKs of Lark and libraries for DingTalk; the CAS
//! servers django-cas-server and LemonLDAP::NG; the SAML identity providers pysaml2 and samlp, and Keycloak
//! again; the directories of OpenLDAP and UnboundID; xmlsec1; and axe-core in Chromium. `tests/run` installs and runs
//! them.

#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on must be there, or it fails"
)]

mod applications;
mod assertion;
mod axe;
mod cas;
mod clients;
mod console;
mod demo;
mod demo_journeys;
mod demo_sources;
mod dingtalk_page;
mod dingtalk_sdk;
#[path = "../../examples/demo/dingtalk.rs"]
mod dingtalk_source;
mod frames;
mod fronts;
mod full_disk;
mod grpc;
mod jwcrypto;
mod jwt_portal;
#[path = "../../examples/demo/lark.rs"]
mod lark;
mod lark_sdk;
mod ldap;
#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
mod local;
mod nginx;
mod nodes;
mod op;
mod page_layout;
mod password_form;
mod postgres;
mod processes;
mod recipe_portal;
mod saml;
mod service_worker;
mod setup;
#[path = "../../examples/demo/simulated_http.rs"]
mod simulated_http;
mod source_logins;
mod visitor;
mod webdriver;
mod wechatpy;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
mod xmlsec;
#[path = "../../examples/demo/yunzhijia.rs"]
mod yunzhijia_source;
