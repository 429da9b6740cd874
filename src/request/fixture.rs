//! Fixtures for unit tests of requests: a route, a caller, a head, a permit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use super::gate::{Caller, LoginReason};
use super::head::{Connection, Head, ParseOptions, Peer, PrivateUpstreamConnections, Trust};
use super::headers::{
    AssertionSigner, ProtectedHeaders, RequestId, RequestRewrite, RewriteOptions,
};
use super::policy::{self, Permit, Verdict};
use super::route::{
    Access, HeaderRules, HostHeader, HostPattern, Limits, PathPrefix, Preflight, Route, RouteName,
    UpstreamId,
};
use crate::clock::Timestamp;
use crate::expression::{Document, Expression, Scope};
use crate::keys::{self, KeyRing};
use crate::people::cookie::CookieName;
use crate::people::profile::{AuthContext, UserFields};
use crate::people::session::{Entitlements, Person, RefreshDue, Session};
use crate::store::{AccountId, ConnectorId, LoginName, SessionId, SessionKey, Subject};
use crate::telemetry::RouteCounters;

/// A public route to the first upstream.
pub(super) fn route() -> Route {
    Route {
        name: RouteName::new("oa"),
        host: HostPattern::default(),
        path: PathPrefix::default(),
        access: Access::Public,
        public_paths: Vec::new(),
        allow: None,
        connectors: Vec::new(),
        issuers: Vec::new(),
        scopes: Vec::new(),
        access_tokens: false,
        demands: None,
        upstream: Some(UpstreamId(0)),
        preflight: Preflight::Deny,
        strip_path: false,
        own_prefix: "/.menshen".into(),
        case_insensitive: false,
        keep_fragment: false,
        keep_header_case: false,
        host_header: HostHeader::Client,
        headers: HeaderRules::default(),
        limits: Limits {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            body_bytes_max: 1 << 20,
            recheck_after: Duration::from_secs(5),
        },
        private_connections: false,
        counters: RouteCounters::default(),
    }
}

pub(super) fn rule(source: &str) -> Expression {
    Expression::compile(source, Scope::Rule).unwrap()
}

pub(super) fn anonymous() -> Caller {
    Caller::Anonymous(LoginReason::NotSignedIn)
}

/// A key ring with one new key.
pub(super) fn ring() -> KeyRing {
    keys::install_crypto();
    KeyRing::new(&[keys::generate()], None).unwrap()
}

/// A person with this login and these profile fields.
pub(super) fn person(login: &str, fields: UserFields) -> Caller {
    let (account, via) = (
        AccountId::new([7; 16]),
        "corp".parse::<ConnectorId>().unwrap(),
    );
    let login = login.parse::<LoginName>().unwrap();
    let entitlements = Entitlements::new(account, &login, None, &via, fields, 1);
    let minted_at = Timestamp::from_unix_s(1_700_000_000);
    let session = Session {
        public_id: SessionId::new([1; 16]),
        key: SessionKey::new([2; 32]),
        account,
        login,
        via,
        subject: "ww1:x".parse::<Subject>().unwrap(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        amr: Document::from(&serde_json::json!([])),
        minted_at,
        expires_at: minted_at,
    };
    Caller::Person(Person {
        session: Arc::new(session),
        entitlements: Arc::new(entitlements),
        confirmed_at: minted_at,
        needs_new_cookie: false,
        bearer_token: None,
        access_token: None,
        refresh_due: RefreshDue::NotDue,
        token_state: None,
    })
}

/// A person with a Chinese name in two groups.
pub(super) fn zhang() -> Caller {
    person(
        "zhangsan",
        UserFields {
            name: Some("张三".to_owned()),
            email: Some("zs@corp.example".to_owned()),
            groups: vec!["财务部".to_owned(), "a,b".to_owned()],
            attributes: BTreeMap::new(),
            ..UserFields::default()
        },
    )
}

/// What `10.0.0.9` is, from which the requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    TrustedProxy,
}

/// The permit and the rewrite of a request from `10.0.0.9`.
pub(super) fn permit_and_rewrite(
    route: &Arc<Route>,
    caller: Caller,
    parts: &Parts,
    sender: Sender,
) -> (Permit, RequestRewrite) {
    let peer = Peer::Ip([10, 0, 0, 9].into());
    let connection = Connection {
        peer,
        tls: true,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    };
    let networks = match sender {
        Sender::Client => Vec::new(),
        Sender::TrustedProxy => vec!["10.0.0.0/8".parse().unwrap()],
    };
    let trust = Trust {
        networks,
        ..Trust::default()
    };
    let now = Timestamp::from_unix_s(1_700_000_100);
    let ring = ring();
    let external_url = "https://sso.test".parse().unwrap();
    let parse_options = ParseOptions {
        trust: &trust,
        external_url: &external_url,
        session_cookie_name: "menshen",
        ring: &ring,
    };
    let head = Head::parse(parts, &connection, parse_options, now).unwrap();
    let Verdict::Allow(permit) = policy::judge(route, caller, &head) else {
        panic!("the route is public")
    };
    let id = RequestId::of(&parts.headers, head.peer_trusted);
    let protected_headers =
        ProtectedHeaders::new(&[Arc::clone(route)], &CookieName::default(), &ring);
    let rewrite_options = RewriteOptions {
        protected_headers: &protected_headers,
        assertion_signer: &AssertionSigner::new(&external_url, &ring, None),
    };
    let request_rewrite = RequestRewrite::new(&permit, &head, &id, rewrite_options);
    (permit, request_rewrite)
}
