//! menshen 门神: an authenticating reverse proxy. This page is the map of its modules.
//! `docs/architecture.svg` is a drawing of it; `CONTRIBUTING.md` explains how to make a change.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | connector | one configured way to authenticate people: a WeCom application, an OIDC provider … |
//! | source, provider | the system at which the people of a connector log in |
//! | subject | the identifier of a person at a source; (connector, subject) is an *identity* |
//! | profile | the data about a person that a source returns at one login |
//! | account | a person in the database of menshen; an account can have several identities |
//! | login | the user name by which applications know an account; also the act of signing in |
//! | via | the connector through which a person logged in |
//! | session | the state of a signed-in browser, or of a person's bearer token; after it is minted, only its entitlements change |
//! | console | the web pages for administrators below `/console/` ([`site::ConsoleConfig`]) |
//! | local administrator | somebody who signs in to the console with a password of the store, and is no person of a connector ([`people::administrators`]) |
//! | access token | what a person makes in a session and gives to a program that can neither sign in nor hold a cookie; it stands for its person ([`people::access_tokens`]) |
//! | sid | the secret ID of a session, in its cookie; the *public ID* names the session in logs |
//! | entitlements | groups, departments and roles of a session: what may change while it lasts |
//! | local entitlements | the department and groups that menshen itself gives an account (`join`, or an administrator); no source changes them |
//! | local person | a person of a connector of the kind `local` whose password menshen itself keeps, in the store ([`people::local_people`]) |
//! | route | a host and a path, who may pass there, and the upstream behind it |
//! | issuer | who issues tokens: bearer tokens of programs and people, ID tokens of an OIDC source |
//! | head | the parts of a request on which a decision may depend |
//! | reading | one of the ways in which an application may decode a path |
//! | caller | who sends a request: nobody, a person or a program |
//! | verdict | the result of a decision: allow with a permit, allow after the source confirmed the person again, log in first, or deny |
//! | assertion | a signed statement of who a person is, for one application |
//! | face | the code that receives requests of one protocol (HTTP, forward-auth check, ext_authz) and converts the verdict to its response; it decides nothing |
//! | own path | a path below `server.prefix` (`/.menshen` by default) that menshen serves itself |
//! | node | one of the running processes that share a store |
//! | directory | all people whom menshen knows, with their departments; a *directory sync* reads those of a source into it |
//! | epoch | a counter that a revocation increments; a session minted under an older one is void |
//! | flow | one pending login; its ID is the `state` at the source, and the sealed flow cookie holds it |
//! | entry token | a token with which a portal sends a person to menshen, which completes a login that menshen did not begin |
//! | managed settings | connectors and choices of `[login]` that administrators change at run time; the store keeps them in *versions* ([`site::settings`]) |
//! | shadowed | of a managed connector: the file has one with the same ID, which counts |
//! | step | one request of a login with a `custom` connector, whose protocol the configuration describes |
//! | ticket | a one-time value that transfers a session to another host of the site |
//! | service ticket, proxy ticket | a one-time value that a CAS server issues for a person, to a browser or to a program |
//! | spend | record in the store that a one-time value was used, so that it is not accepted again |
//! | site | what is built from one configuration; a reload replaces it as a whole ([`site::live`]) |
//!
//! # Two journeys
//!
//! A request goes [`door`] → [`face`] → [`request`]:
//!
//! ```text
//! door      read the PROXY header, terminate TLS, one task per connection; `door::service` refuses
//!           ambiguous framing and too many requests, then calls the handler of the listener
//! face      LiveSite::handle (in `face.rs`): parse the head, which finds the session cookie; serve one
//!           of menshen's own paths, or decide
//! request   decide: Routes::find → Gate::identify → policy::judge → Verdict; gate and judge meet in
//!           `request::on_route`
//! people    Sessions::find, called by the gate: the session of the cookie
//! request   RequestRewrite::new: the headers that menshen adds; RequestRewrite::write, during the
//!           exchange: those of the client that remain
//! request   Forwarder::forward: takes a Permit, leases a connection, exchanges head for head
//!           (`forward::exchange`, `forward::http1`), and returns the response with the headers of
//!           ResponseRewrite
//! face      LiveSite::forward adds a renewed session cookie, and checks long requests again
//! telemetry one access record (LoggedResponse::record_response): before the response is sent if its
//!           body is complete, otherwise when the body ends (`face::streamed`)
//! ```
//!
//! At the start, `run::listeners` gives each listener its handler: the site, [`face::ext_authz`] for gRPC
//! checks, or [`face::admin`]. The body of a forwarded response is wrapped from the inside out: the
//! upstream's (`forward::response_body`), the recheck (`face::long_request`), the access record
//! (`face::streamed`), the time-outs of the connection (`door::tracked_body`).
//!
//! The head is parsed again only when forwarding failed or a long request is checked again. A response
//! of the door itself (a malformed request, too many requests, the redirect to https) has no record.
//!
//! When another proxy asks whether a request may pass, the same function decides and nothing is
//! forwarded. `face::check` (HTTP) and [`face::ext_authz`] (gRPC) parse the question into a head
//! (`Head::from_original`) and translate the verdict into their protocol. What the other proxy does
//! not send is unknown, and a decision that depends on it denies.
//!
//! A login goes [`face`] → [`login`] → [`people`]:
//!
//! ```text
//! face      sign_in::require_login, for the verdict "log in first": on the login host it begins a login
//!           or redirects to the sign-in page (`sign_in::begin`), on another host it redirects to the
//!           login host (`sign_in::cross_host`). A choice on the page leads to `/start`
//!           (`sign_in::start`). `sign_in::answer` dispatches own paths, but not those of checks
//! login     Login::begin: rate limits; state, nonce and PKCE verifier are sealed; Connector::begin → Challenge
//! face      sign_in::challenge: the redirect and the flow cookie
//! ...       the browser goes to the source and returns
//! face      sign_in::callback: which pending login does the response belong to?
//! login     Login::open_pending: does the login belong to this browser? Then Login::finish, once for each
//!           response, in a task of `login/finish.rs` that does the next four steps
//! login     Connector::redeem_response: redeem the response at the source → Profile
//! people    People::admit: the mapping, then AccountStore::admit in one transaction → Account
//! people    Sessions::mint → the session
//! people    cookie::sign → the value of the session cookie
//! face      sign_in::callback: the redirect to the return address (`ticket::next_url`);
//!           sign_in::complete::hand_out_session: the session cookie; the flow cookie is cleared
//! ```
//!
//! A login that began on another host of the site goes through the login host and returns with a ticket:
//! `sign_in::ticket` issues it, `sign_in::redeem_ticket` exchanges it for the session cookie.
//!
//! A source whose own app has no login page is asked there by a page of menshen (`Challenge::AppPage`), whose
//! script brings the code to `/login` (`sign_in::front_end`).
//!
//! A connector that checks passwords itself shows a form of menshen in place of the redirect. If it has a
//! list of its people, `login::listed_people` ends the sessions of those whom a changed list no longer
//! contains. Local people have their rows in the store: whatever changes a password ends the sessions of the
//! former one in the same transaction, and a session is minted only with the current one. A person who must
//! choose another password gets no session before (`sign_in::password_change`).
//!
//! A person may also arrive with an entry token that menshen did not request: `Login::redeem_unsolicited`
//! redeems it once, and `Login::finish_unsolicited` mints a session, after a confirmation when another person
//! is signed in. The token arrives at `/enter` (`sign_in::enter`), or at the URL of an application, if the
//! connector allows it and nobody is signed in. A SAML provider posts it to the callback URL.
//!
//! A signed-in person may add an identity of another source to their account. Such a login ends with
//! `LoginResult::Proven` instead of a session; `sign_in::link` names both and asks, and
//! `People::link_identity` stores it.
//!
//! A person enters the console with a ticket, too: `face::admin` sends the browser to `/start`,
//! `sign_in::ticket` issues a ticket for the console, and [`people::console_sessions`] keeps a session of the
//! console beside that of the person. For each request [`request::console`] decides what the person may do.
//!
//! A program sends an access token of a person in place of a cookie: `Gate::identify` calls
//! `request::access_token`, and `Sessions` finds the session that the token stands for, in the same cache and
//! under the same epochs as those of cookies. `sign_in::tokens` serves the page on which people make and end
//! tokens; `AccessTokens` stores them.
//!
//! An administrator changes connectors at run time: `LiveSite::change` puts the newest managed settings, the
//! change and the file together, builds a whole site, stores a version if no other node was first, and activates
//! the site. Other nodes learn it from the log of revocations and follow it (`site::live::follow`).
//!
//! A directory sync ([`login::directory_sync`]) reads the departments and people of a source
//! (`SourceDirectory`), [`people::directory_sync`] compares them with the directory, and applies the
//! differences in bounded transactions; accounts are closed last, after everything was read.
//!
//! # Floors
//!
//! A module uses only modules of lower floors. Floor 0 is the exception: each of its modules may use [`wording`], and
//! some use others, in one direction only. `tests/house/floors.rs`, which checks all this, lists these pairs. Inside
//! [`request`], `face::sign_in` and [`login`], files and folders do not use each other in a circle, and the steps of a
//! decision use each other in one direction only: `head`, `route`, `gate`, `policy`, `forward`.
//!
//! | floor | modules | must never |
//! |---|---|---|
//! | 8 | `main`, [`run`] | contain logic of their own |
//! | 7 | [`config`] | be used by anything but floor 8 and tests |
//! | 6 | [`door`] | depend on routes, people or pages |
//! | 5 | [`face`] | decide who may pass |
//! | 4 | [`site`] | decide who may pass; change a site that is built |
//! | 3 | [`request`], [`login`] | use each other; choose the status of a response |
//! | 2 | [`people`] | depend on a protocol |
//! | 1 | [`store`] | decide anything but what a transaction must decide |
//! | 0 | [`background_task`], [`client`], [`clock`], [`expression`], [`issuer`], [`keys`], [`open_files`], [`outbound`], [`resolver`], [`secret`], [`setting`], [`single_flight`], [`telemetry`], [`wording`] | depend on any floor above |
//!
//! # Invariants
//!
//! * One function decides: [`request::decide`], or [`request::decide_on_named_route`] when the asking proxy
//!   names the route. Every face calls it, and one table of tests covers all faces.
//! * [`request::explain`] explains a decision by calling the functions that make it, and changes nothing.
//! * Only [`request::policy::judge`] makes a [`request::policy::Permit`], and
//!   [`request::forward::Forwarder::forward`] requires one.
//! * The path that is judged is byte for byte the path that is sent: [`request::path::Path`].
//! * Every error leads to a denial or to "try again later", never to access.
//! * A login is bound to its browser before its code is redeemed, and anonymous clients cause no writes but
//!   audit lines, at a limited rate: [`login::pending::Pending`].
//! * Nobody waits for an audit line: a task stores what was recorded ([`people::audit_log`]). The line of a
//!   change may be stored in the transaction of the change ([`telemetry::Telemetry::audit_line`]).
//! * The cached part of a session never changes; its entitlements are kept beside it and replaced as a
//!   whole. It carries the epochs under which it was loaded, and every cache hit compares them:
//!   [`people::session::Sessions`].
//! * A refresh token is used once: one task per process redeems it, a lease in the store excludes other
//!   processes, and the write fails if the stored version has changed: [`people::session::Refresher`].
//! * Only [`people`], [`site`] and [`run`] use a store; faces and decisions use [`people::People`] and
//!   [`people::session::Sessions`].
//! * An event of a source changes nothing by itself: menshen asks the source, and [`people::confirm`] acts
//!   on the answer.
//! * A connector never sees a cookie and never writes a response: [`login::connector::Connector`].

pub mod run;

pub mod config;

pub mod door;

pub mod face;

pub mod site;

pub mod login;
pub mod request;

pub mod people;

pub mod store;

pub mod background_task;
pub mod client;
pub mod clock;
pub mod expression;
pub mod issuer;
pub mod keys;
pub mod open_files;
pub mod outbound;
pub mod resolver;
pub mod secret;
pub mod setting;
pub mod single_flight;
pub mod telemetry;
pub mod wording;
