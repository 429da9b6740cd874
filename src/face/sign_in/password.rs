//! `/password/{connector}`: verifies a user name and a password that a person submits.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};

use super::super::browser::single_header;
use super::super::page::{Cause, Href, PasswordNotice};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::begin::{self, BeginOptions};
use super::password_form::{self, FormContents};
use super::{
    LoginTarget, audit, callback, caller, flow_cookies, is_own_form_post, password_change,
    read_body,
};
use crate::login::connector::AuthnResponse;
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, PendingError};
use crate::login::{ConnectorEntry, FinishedLogin, LoginResult};
use crate::people::local_people::subject_of;
use crate::request::gate::Caller;
use crate::request::{Body, BodyError};
use crate::store::ConnectorId;

/// The fields of the password form, each exactly once.
struct PasswordForm<'a> {
    flow: &'a str,
    return_to: &'a str,
    login: &'a str,
    password: &'a str,
}

impl<'a> PasswordForm<'a> {
    fn parse(form: &'a Fields) -> Option<Self> {
        let one = |name| form.one(name).ok().flatten();
        Some(Self {
            flow: one("flow")?,
            return_to: one("rd")?,
            login: one("login")?,
            password: one("password")?,
        })
    }

    fn target(&self, context: &RequestContext<'_>) -> LoginTarget {
        let fields = vec![("rd".to_owned(), self.return_to.to_owned())];
        LoginTarget::from_query(context, &Fields::new(fields))
    }

    fn authn_response(&self, context: &RequestContext<'_>) -> AuthnResponse {
        let fields = [("login", self.login), ("password", self.password)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        AuthnResponse {
            fields: Fields::new(fields.to_vec()),
            client: context.head.client_for_limits(),
            origin: super::session_origin(context),
            kind: None,
        }
    }
}

/// Verifies a submitted password at the provider and completes the login. A form that a page of another
/// site submitted, or that was shown in another browser, is refused without a request to the provider.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entry = context.site.login.entry(via);
    let Some(entry) = entry.filter(|entry| entry.uses_password_form()) else {
        return LoggedResponse::own_path("no form", reply::problem(context, Cause::NotFound, None));
    };
    if *context.head.method != Method::POST {
        return LoggedResponse::own_path("method", reply::method_not_allowed("POST"));
    }
    if !is_own_form_post(context) {
        return LoggedResponse::own_path("cross-site", foreign_form(context, entry));
    }
    let content_type = single_header(context.head.headers, CONTENT_TYPE.as_str()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let form = match read_body(body).await {
        Some(form) if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            Fields::parse(&form)
        }
        _ => None,
    };
    let Some(submitted) = form.as_ref().and_then(PasswordForm::parse) else {
        let target = LoginTarget::default();
        let page = form_of_new_login(context, entry, &target, "", PasswordNotice::Incomplete).await;
        return LoggedResponse::own_path("incomplete form", page);
    };
    verify(context, entry, &submitted).await
}

async fn verify(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    submitted: &PasswordForm<'_>,
) -> LoggedResponse {
    let login = &context.site.login;
    let authn_response = submitted.authn_response(context);
    let Ok(flow) = FlowId::try_from(submitted.flow.to_owned()) else {
        return without_pending(context, entry, submitted, None, PendingError::Missing).await;
    };
    let sealed = flow_cookies::sealed_login(context, &flow);
    let pending = match login.open_pending([&entry.id], &flow, sealed.as_deref()) {
        Ok(pending) => pending,
        Err(error) => {
            let outcome = login.outcome(&entry.id, &flow, &authn_response).await;
            let result = outcome.as_deref().and_then(|it| it.as_ref().ok());
            let finished = result.and_then(LoginResult::session);
            return without_pending(context, entry, submitted, finished, error).await;
        }
    };
    let outcome = login.finish(pending.clone(), authn_response).await;
    let error = match &outcome {
        Ok(outcome) => outcome.as_ref().as_ref().err(),
        Err(error) => Some(error),
    };
    if let Some(error) = error.filter(|error| error.is_password_expired())
        && entry.connector.local_people().is_some()
        && let Ok(subject) = subject_of(submitted.login)
    {
        audit::login_failed(context, &entry.id, error);
        return password_change::demand(context, entry, &pending, subject);
    }
    let Some(error) = error.filter(|error| error.is_wrong_password()) else {
        return callback::respond_to_outcome(context, &pending, &outcome, false).await;
    };
    audit::login_failed(context, &entry.id, error);
    let contents = FormContents {
        status: StatusCode::UNAUTHORIZED,
        login: submitted.login,
        notice: Some(PasswordNotice::WrongPassword),
    };
    // The login stays pending, so its flow cookie is kept.
    let target = LoginTarget::of(&pending);
    let page = password_form::page(context, entry, &target, &flow, &contents);
    LoggedResponse::own_path(Cause::WrongPassword.slug(), page)
}

/// The response if the flow cookie of the form is missing, expired or forged: the form was submitted
/// twice, was open for too long, or was shown in another browser.
async fn without_pending(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    submitted: &PasswordForm<'_>,
    finished: Option<&FinishedLogin>,
    error: PendingError,
) -> LoggedResponse {
    if let Some(finished) = finished {
        let caller = match caller(context).await {
            Ok(caller) => caller,
            Err(response) => return LoggedResponse::own_path("unavailable", response),
        };
        if let Caller::Person(person) = &caller
            && person.session.public_id == finished.public_id
        {
            let to = finished.return_to.location();
            return LoggedResponse::own_path("repeated", reply::see_other(&to));
        }
    }
    audit::refused(context, Some(&entry.id), &error);
    let notice = match error {
        PendingError::Expired | PendingError::SettingsChanged => PasswordNotice::Expired,
        PendingError::Missing | PendingError::Forged | PendingError::ConnectorGone => {
            PasswordNotice::Incomplete
        }
    };
    let target = submitted.target(context);
    let page = form_of_new_login(context, entry, &target, submitted.login, notice).await;
    LoggedResponse::own_path("no flow cookie", page)
}

/// Begins another login and shows its form, with a notice.
async fn form_of_new_login(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    login: &str,
    notice: PasswordNotice,
) -> Response<Body> {
    let begun = match begin::begin_without_response(context, entry, target, BeginOptions::default())
        .await
    {
        Ok(begun) => begun,
        Err(error) => return begin::begin_failed(context, entry, target, &error),
    };
    let contents = FormContents {
        status: StatusCode::BAD_REQUEST,
        login,
        notice: Some(notice),
    };
    let mut response = password_form::page(context, entry, target, &begun.pending.flow, &contents);
    flow_cookies::set(context, &begun, &mut response);
    response
}

/// The response to a form post from another site or by a script: a page for a browser, which leads to the form.
fn foreign_form(context: &RequestContext<'_>, entry: &ConnectorEntry) -> Response<Body> {
    if !reply::accepts_html(context.head.headers) {
        return reply::foreign_origin(context);
    }
    let sign_in_link =
        password_form::form_url(context, entry, &LoginTarget::default()).map(Href::new);
    let connector_name = Some(context.lang().label(&entry.display_name));
    let mut response = reply::login_problem(
        context,
        Cause::FlowCookieForged,
        sign_in_link,
        connector_name,
    );
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
