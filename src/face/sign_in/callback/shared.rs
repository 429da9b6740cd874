//! `SharedCallback`: the connectors of one callback path, and which of them a request is for.

use std::sync::LazyLock;

use http::Method;

use super::super::super::RequestContext;
use super::super::super::browser::{RequestKind, request_kind};
use crate::login::connector::{Callback, LogoutMessageForm};
use crate::login::fields::Fields;
use crate::login::pending::FlowId;
use crate::store::ConnectorId;

/// A connector, and the ID of the login that the response names in the format of this connector.
pub(super) type NamedLogin<'a> = (&'a ConnectorId, FlowId);

/// The callback settings of a connector that is not configured.
static UNKNOWN_CONNECTOR_CALLBACK: LazyLock<Callback> = LazyLock::new(Callback::default);

/// The connectors that share a callback path, with their callback settings.
pub(super) struct SharedCallback<'a>(Vec<(&'a ConnectorId, &'a Callback)>);

impl<'a> SharedCallback<'a> {
    pub(super) fn of(context: &RequestContext<'a>, connectors: &[&'a ConnectorId]) -> Self {
        let with_settings = |id: &&'a ConnectorId| {
            let callback = match context.site.login.entry(id) {
                Some(entry) => entry.features.callback()?,
                // An unknown connector gets the same response as a configured one, so that a client
                // cannot find out which connectors exist.
                None => &UNKNOWN_CONNECTOR_CALLBACK,
            };
            Some((*id, callback))
        };
        Self(connectors.iter().filter_map(with_settings).collect())
    }

    /// Whether no connector has callbacks here.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn logins_by_get(&self) -> bool {
        self.0.iter().any(|(_, it)| it.method.accepts_get())
    }

    fn logins_by_post(&self) -> bool {
        self.0.iter().any(|(_, it)| it.method.accepts_post())
    }

    /// Whether a login or a logout message may be posted.
    pub(super) fn accepts_forms(&self) -> bool {
        self.logins_by_post() || self.logout_messages().next().is_some()
    }

    pub(super) fn allowed_methods(&self) -> &'static str {
        match (self.logins_by_get(), self.accepts_forms()) {
            (true, true) => "GET, POST",
            (false, true) => "POST",
            (_, false) => "GET",
        }
    }

    pub(super) fn form_bytes_max(&self) -> usize {
        let by_post = self.0.iter().filter(|(_, it)| it.method.accepts_post());
        let of_logins = by_post.map(|(_, it)| it.form_bytes_max).max().unwrap_or(0);
        let of_logouts = self.logout_messages().map(|(_, form)| form.bytes_max);
        of_logouts.max().unwrap_or(0).max(of_logins)
    }

    /// The connectors whose source posts logout messages here.
    pub(super) fn logout_messages(
        &self,
    ) -> impl Iterator<Item = (&'a ConnectorId, LogoutMessageForm)> {
        let connectors = self.0.iter();
        connectors.filter_map(|(id, callback)| Some((*id, callback.logout_message?)))
    }

    /// Whether a posted form is a logout message. Where no login is posted, every form is one.
    pub(super) fn is_logout_message(&self, form: Option<&Fields>) -> bool {
        let mut forms = self.logout_messages();
        match self.logins_by_post() {
            true => form.is_some_and(|form| forms.any(|(_, it)| form.has(it.field))),
            false => forms.next().is_some(),
        }
    }

    /// The connector for which a program presents a ticket, and the parameter of the ticket. A request of
    /// which the flow parameter names a login is a callback, and so is every page load.
    pub(super) fn program_ticket(
        &self,
        context: &RequestContext<'_>,
        fields: &Fields,
    ) -> Option<(&'a ConnectorId, &'static str)> {
        if *context.head.method != Method::GET || request_kind(context.head) != RequestKind::Fetch {
            return None;
        }
        let names_login = |callback: &Callback| fields.has(&callback.flow_parameter);
        let mut found = self.0.iter().filter_map(|(id, callback)| {
            let parameter = callback.program_ticket.filter(|name| fields.has(name))?;
            (!names_login(callback)).then_some((*id, parameter))
        });
        // With several, the ticket belongs to none of them for certain.
        found.next().filter(|_| found.next().is_none())
    }

    /// The connector whose source posts a response that names no login. With several, the response belongs to
    /// none of them for certain.
    pub(super) fn of_unnamed_response(
        &self,
        method: &Method,
        fields: &Fields,
    ) -> Option<&'a ConnectorId> {
        let mut found = self.0.iter().filter(|(_, callback)| {
            let parameter = callback.response_parameter;
            parameter.is_some_and(|parameter| fields.has(parameter))
        });
        let only = found.next().filter(|_| found.next().is_none());
        only.filter(|_| method == Method::POST).map(|(id, _)| *id)
    }

    /// The login that each connector reads from the response.
    pub(super) fn named_logins(&self, method: &Method, fields: &Fields) -> Vec<NamedLogin<'a>> {
        let with_this_method = self.0.iter().filter(|(_, callback)| match *method {
            Method::POST => callback.method.accepts_post(),
            _ => callback.method.accepts_get(),
        });
        let logins = with_this_method.filter_map(|(id, callback)| {
            let flow = fields.one(&callback.flow_parameter).ok().flatten()?;
            Some((*id, FlowId::try_from(flow.to_owned()).ok()?))
        });
        logins.collect()
    }
}
