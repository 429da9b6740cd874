//! menshen 门神: an authenticating reverse proxy. This page is the map of its modules;
//! `docs/architecture.svg` draws it, and `CONTRIBUTING.md` says how a change travels.
//!
//! # Words
//!
//! A **connector** is one configured way of proving who a person is; the **subject** is the name its
//! source gives them, and (connector, subject) is an **identity**. A **profile** is what a source
//! said at one login; an **account** is the person as our directory keeps them, and their **login**
//! is the name applications know them by. A **session** is somebody who is here: an immutable
//! snapshot minted at a login; their **entitlements** are what may change meanwhile. A **route** says
//! who may pass where. An **issuer** makes the bearer tokens by which **programs** come in, on routes
//! that name it; a program is never a person. A **head** is what a decision may look at, a **caller**
//! who is asking, a **verdict** the answer: allow with a **permit**, allow once the person's source
//! was asked again, log in first, or deny with a **denial**. An **assertion** is a person's name signed
//! for one **audience**, so that an application can check it for itself. A **face** speaks a
//! protocol to the outside and decides nothing. A **site** is one configuration, built; a reload
//! replaces it whole by another, in [`site::live`].
//!
//! # Two journeys
//!
//! A request walks [`door`] → [`face`] → [`request`]:
//!
//! ```text
//! door      peel the PROXY header, end TLS, one task per connection
//! face      LiveSite::handle: parse the head once; own path, or decide
//! request   decide: Routes::find → Gate::identify → policy::judge → Verdict
//! request   forward: a Permit and the request → the upstream's response
//! telemetry one access record, always last
//! ```
//!
//! Where another proxy only asks, the request it asks about walks the same way and is not forwarded:
//! a contract tells what it was (`Head::from_original`), `decide` answers, and the contract says so in its own
//! words: `face::check` over HTTP, [`face::ext_authz`] over gRPC. What was not told is unknown, and a
//! decision that needs it denies.
//!
//! A login walks [`face`] → [`login`] → [`people`]:
//!
//! ```text
//! face      sign_in: where to, from whom, how often
//! login     Login::begin: state, nonce, verifier; sealed into the browser's cookie
//! ...       the browser goes to the source and comes back
//! login     Login::open_pending: is it this browser's login? Then Login::finish
//! login     Connector::finish: the source says who it is → Profile
//! people    People::admit: mapping, directory → Account
//! people    Sessions::mint → the session cookie
//! ```
//!
//! Where a connector asks for a password, the way to the source and back is a form of ours. Where people
//! arrive with a ticket that nobody here asked for, `Login::redeem_unsolicited` takes the ticket once and
//! `Login::finish_unsolicited` mints, after whoever else is signed in here has agreed.
//!
//! # Floors
//!
//! Each module uses only what stands under it; neighbours never use each other. Within [`request`],
//! `face::sign_in` and [`login`] no two files or folders use each other in a circle, and a decision
//! goes one way through [`request`]: `head`, `route`, `gate`, `policy`, `forward`. A test keeps this.
//!
//! | floor | modules | must never |
//! |---|---|---|
//! | 8 | `main`, [`run`] | hold logic of their own |
//! | 7 | [`config`] | be used by anything but floor 8 and tests |
//! | 6 | [`door`] | know routes, people or pages |
//! | 5 | [`face`] | decide who may pass |
//! | 4 | [`site`] | decide who may pass; change a site that is built |
//! | 3 | [`request`], [`login`] | know each other; choose the status of an answer |
//! | 2 | [`people`] | know a protocol |
//! | 1 | [`store`] | decide anything |
//! | 0 | [`client`], [`clock`], [`expression`], [`issuer`], [`keys`], [`open_files`], [`outbound`], [`resolver`], [`secret`], [`setting`], [`single_flight`], [`telemetry`] | know the house |
//!
//! # Invariants
//!
//! * One function decides: [`request::decide`]; every face calls it, and one table of tests drives
//!   them all.
//! * Whoever explains a decision asks the functions that make it, with a person as a load builds
//!   them, and changes nothing: [`request::explain`].
//! * Only [`request::policy::judge`] makes a [`request::policy::Permit`], and only a permit can be
//!   forwarded by [`request::forward::Forwarder::forward`].
//! * The bytes of a path that are judged are the bytes that are sent: [`request::path::Path`].
//! * Every error maps to deny or "come back later", never to allow.
//! * The browser is checked before a code is redeemed; nothing is stored for strangers:
//!   [`login::pending::Pending`].
//! * What is cached of a session is immutable and carries the numbers it was loaded under; every hit
//!   compares them: [`people::session::Sessions`].
//! * A refresh token is spent once: one task in a process, one lease among processes, one version in
//!   the store: [`people::session::Refresher`].
//! * Only [`people`], [`site`] and [`run`] ask a store; faces and decisions ask [`people::People`] and
//!   [`people::session::Sessions`].
//! * Connectors never see a cookie and never write a response: [`login::connector::Connector`].

pub mod run;

pub mod config;

pub mod door;

pub mod face;

pub mod site;

pub mod login;
pub mod request;

pub mod people;

pub mod store;

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
