//! Login by the CAS protocol, versions 1.0 to 3.0: the browser brings a ticket, and the CAS server says
//! for whom it issued the ticket.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use url::Url;

use super::reachability::Reachability;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, Prompt, ProviderLogout, RefusalReason, SourceRefusal,
    UnsolicitedProfile, brought, grant,
};
use crate::clock::{Clock, Timestamp};
use crate::login::pending::Pending;
use crate::outbound::{Outbound, OutboundCall};
use crate::people::profile::{AuthContext, Profile};
use crate::store::Subject;
use crate::wording::Text;
use addresses::Addresses;
use answer::{ANSWER_BYTES_MAX, Answer, Person};
use config::UserCase;
use errors::{VALIDATION, invalid_answer, invalid_response, refused_ticket};
use ticket::Ticket;

mod addresses;
mod answer;
mod config;
mod errors;
mod examine;
mod kind;
mod logout;
mod ticket;

pub use config::Config;
pub(super) use kind::NAME as KIND_NAME;

/// A ticket is redeemed by its validation, so the call is never repeated.
const VALIDATE: OutboundCall = OutboundCall::once(VALIDATION);

/// Without `renew` the person may have entered the password long ago, so it satisfies no `max_age`.
const UNKNOWN_AUTH_TIME: Timestamp = Timestamp::from_unix_s(0);

/// How long a used proxy ticket is remembered. CAS servers recommend that tickets expire after minutes.
const PROXY_TICKET_LIFETIME: Duration = Duration::from_secs(3600);

const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.user"),
    (
        "name",
        "has(profile.attributes.displayName) ? profile.attributes.displayName : profile.attributes.cn",
    ),
    (
        "email",
        "has(profile.attributes.mail) ? profile.attributes.mail : profile.attributes.email",
    ),
    (
        "groups",
        "has(profile.attributes.groups) ? profile.attributes.groups : profile.attributes.memberOf",
    ),
];

/// A service at one CAS server.
#[derive(Debug)]
pub struct Cas {
    config: Config,
    addresses: Addresses,
    callback: Url,
    outbound: Outbound,
    clock: Clock,
    /// The reachability of the validation. Only browsers request the login page.
    reachability: Reachability,
}

impl Cas {
    /// Builds the connector; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let addresses = Addresses::of(config)
            .map_err(|error| ConnectorBuildError::Setting(Text::of(&error)))?;
        let outbound = deps.outbound.with_response_limit(ANSWER_BYTES_MAX);
        Ok(Self {
            reachability: Reachability::at(
                &addresses.validate,
                outbound.clone(),
                deps.clock.clone(),
            ),
            config: config.clone(),
            addresses,
            callback: deps.callback,
            outbound,
            clock: deps.clock,
        })
    }

    /// The service of one login. The CAS server issues the ticket for exactly this text.
    fn service(&self, pending: &Pending) -> String {
        let mut service = self.callback.clone();
        service
            .query_pairs_mut()
            .append_pair("state", pending.flow.as_str());
        service.into()
    }

    /// The login page. With `gateway` it shows no form and returns at once; the protocol forbids `renew`
    /// beside it.
    fn login_page(&self, pending: &Pending, request: &AuthnRequest) -> Url {
        let service = self.service(pending);
        let asks_anew = matches!(request.prompt, Some(Prompt::Login | Prompt::SelectAccount));
        let mut params = vec![("service", service.as_str())];
        if pending.silent {
            params.push(("gateway", "true"));
        } else if asks_anew || self.requires_renew(pending) {
            params.push(("renew", "true"));
        }
        grant::authorize_url(&self.addresses.login, &params, &[])
    }

    /// Whether the ticket must come from a password that was just entered. A CAS server does not say when
    /// the person authenticated, so only that satisfies a `max_age`.
    fn requires_renew(&self, pending: &Pending) -> bool {
        self.config.renew || pending.max_age.is_some()
    }

    /// Validates a ticket, and checks the proxies that it passed.
    async fn validate(
        &self,
        ticket: Ticket<'_>,
        service: &str,
        requires_renew: bool,
        redacted: &[&str],
    ) -> Result<Person, ConnectorError> {
        if ticket.is_proxy_ticket() && self.config.proxies.is_empty() {
            return Err(invalid_response(
                "it has a proxy ticket, and `proxies` lists no proxy",
            ));
        }
        let mut query = vec![("service", service), (ticket::PARAMETER, ticket.as_str())];
        if requires_renew {
            query.push(("renew", "true"));
        }
        let body = self
            .outbound
            .get_bytes(&self.addresses.validate, &query, VALIDATE)
            .await;
        let body = body.map_err(|error| {
            if error.is_no_response() {
                self.reachability.record_failure();
            }
            ConnectorError::NoUsableResponse(error)
        })?;
        self.reachability.record_success();
        let answer = Answer::read(self.config.version, &body);
        let answer = answer.map_err(|error| invalid_answer(&error.to_string()))?;
        match answer {
            Answer::Invalid { code, text } => Err(refused_ticket(&code, &text, redacted)),
            Answer::Valid(person) if ticket.is_proxy_ticket() && person.proxies.is_empty() => Err(
                invalid_answer("the answer does not name the proxies that the ticket passed"),
            ),
            Answer::Valid(person) => self.check(*person, requires_renew),
        }
    }

    fn check(&self, mut person: Person, requires_renew: bool) -> Result<Person, ConnectorError> {
        let is_listed = |proxy: &&String| self.config.proxies.contains(proxy);
        if let Some(proxy) = person.proxies.iter().find(|proxy| !is_listed(proxy)) {
            let shown: String = proxy
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect();
            let why = format!("the ticket passed the proxy {shown}, which `proxies` does not list");
            return Err(invalid_answer(&why));
        }
        let reports = |value: &str| {
            let reported = person.attributes.get("isFromNewLogin");
            reported.is_some_and(|values| values.iter().any(|it| it.eq_ignore_ascii_case(value)))
        };
        if requires_renew && reports("false") {
            return Err(ConnectorError::Refused {
                why: RefusalReason::InsufficientAuth,
                source: SourceRefusal::fault(
                    VALIDATION,
                    "the person did not enter the password anew",
                ),
            });
        }
        if self.config.user_case == UserCase::Ignore {
            person.user = person.user.to_lowercase();
        }
        Ok(person)
    }

    fn profile(
        &self,
        person: Person,
        ticket: Ticket<'_>,
        auth_time: Timestamp,
    ) -> Result<Profile, ConnectorError> {
        let subject = Subject::try_from(person.user.clone());
        let subject = subject.map_err(|error| invalid_answer(&error.to_string()))?;
        Ok(Profile {
            subject,
            raw: json!({
                "user": person.user,
                "attributes": person.attributes,
                "proxies": person.proxies,
            }),
            verified_fields: Vec::new(),
            provider_sid: Some(ticket.session_id()),
            auth_context: AuthContext {
                auth_time: Some(auth_time),
                ..AuthContext::default()
            },
            tokens: None,
            response_id: None,
            local_revision: None,
        })
    }
}

#[async_trait]
impl Connector for Cas {
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let reachable = self.reachability.check().await;
        reachable.map_err(ConnectorError::NoUsableResponse)?;
        Ok(Challenge::Redirect(self.login_page(pending, request)))
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let interaction_required = |why| ConnectorError::Refused {
            why: RefusalReason::InteractionRequired,
            source: SourceRefusal::fault(brought::CALLBACK, why),
        };
        let Some(ticket) = Ticket::of(&response.fields)? else {
            return Err(match pending.silent {
                true => interaction_required("nobody is signed in at the CAS server"),
                false => invalid_response("it has no ticket"),
            });
        };
        let requires_renew = self.requires_renew(pending);
        if pending.silent && requires_renew {
            return Err(interaction_required(
                "the route has a max_age, which only a new password satisfies",
            ));
        }
        let service = self.service(pending);
        let redacted = [ticket.as_str(), pending.flow.as_str()];
        let validated = self
            .validate(ticket, &service, requires_renew, &redacted)
            .await;
        let person = validated.map_err(|error| match error {
            // Of a service that was accepted before, the server says so of a person whom it no longer admits.
            ConnectorError::Misconfigured { source, .. } if pending.silent => {
                ConnectorError::Refused {
                    why: RefusalReason::NotVisibleToApp,
                    source,
                }
            }
            error => error,
        })?;
        let auth_time = match requires_renew {
            // The person entered the password after the login began; when exactly is not known.
            true => pending.begun_at,
            false => UNKNOWN_AUTH_TIME,
        };
        self.profile(person, ticket, auth_time)
    }

    /// Redeems the proxy ticket of a program, whose service is the callback URL alone.
    async fn redeem_entry_token(
        &self,
        token: &str,
        _response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let ticket = Ticket::parse(token)?;
        if !ticket.is_proxy_ticket() {
            return Err(invalid_response("it has no proxy ticket"));
        }
        let redacted = [ticket.as_str()];
        let requires_renew = self.config.renew;
        let person = self
            .validate(ticket, self.callback.as_str(), requires_renew, &redacted)
            .await?;
        Ok(UnsolicitedProfile {
            profile: self.profile(person, ticket, UNKNOWN_AUTH_TIME)?,
            token_id: None,
            token_expires_at: self.clock.now().plus(PROXY_TICKET_LIFETIME),
        })
    }

    fn logout(&self) -> Option<&dyn ProviderLogout> {
        Some(self)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}
