//! `/password/{connector}/change`: the page on which a person changes their own password.
//!
//! The form belongs to a pending login of this browser, as that of a login does. The old password is verified
//! like that of a login and counts as one; afterwards the login is finished with the new one, which gives the
//! browser another session.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};

use super::super::browser::{RequestKind, loads_in_frame, request_kind, single_header};
use super::super::page::{Cause, Href, PasswordChangeNotice, PasswordChangePage};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::begin::{self, BeginOptions};
use super::{LoginTarget, audit, callback, caller, flow_cookies, is_own_form_post, read_body};
use crate::login::connector::{AuthnResponse, NEW_PASSWORD_FIELD};
use crate::login::fields::Fields;
use crate::login::pending::{FlowId, PasswordChange, Pending, PendingError};
use crate::login::{ConnectorEntry, LoginError};
use crate::people::new_password::{NewPassword, UnacceptablePassword};
use crate::people::session::Person;
use crate::request::BodyError;
use crate::request::gate::Caller;
use crate::store::{ConnectorId, Subject};

/// The fields of the form, each exactly once.
struct ChangeForm<'a> {
    flow: &'a str,
    old: &'a str,
    new: &'a str,
    again: &'a str,
}

impl<'a> ChangeForm<'a> {
    fn parse(form: &'a Fields) -> Option<Self> {
        let one = |name| form.one(name).ok().flatten();
        Some(Self {
            flow: one("flow")?,
            old: one("password")?,
            new: one("new_password")?,
            again: one("new_password_again")?,
        })
    }

    /// Why the new password cannot be accepted, whatever the old one is.
    fn problem(&self) -> Option<PasswordChangeNotice> {
        if self.new != self.again {
            return Some(PasswordChangeNotice::Differ);
        }
        if self.new == self.old {
            return Some(PasswordChangeNotice::Same);
        }
        let problem = NewPassword::parse(self.new).err()?;
        Some(match problem {
            UnacceptablePassword::TooShort => PasswordChangeNotice::TooShort,
            UnacceptablePassword::TooLong => PasswordChangeNotice::TooLong,
            UnacceptablePassword::NotOneLine => PasswordChangeNotice::NotOneLine,
        })
    }
}

/// Serves the page and its form. Only for connectors whose people the store keeps.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let entry = context.site.login.entry(via);
    let Some(entry) = entry.filter(|entry| entry.connector.local_people().is_some()) else {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no passwords to change", page);
    };
    match *context.head.method {
        Method::GET => show(context, entry, query).await,
        Method::POST if is_own_form_post(context) => submit(context, entry, body).await,
        Method::POST => LoggedResponse::own_path("cross-site", reply::foreign_origin(context)),
        _ => LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    }
}

fn page_path(context: &RequestContext<'_>, via: &ConnectorId) -> String {
    format!("{}/password/{via}/change", context.site.prefix)
}

/// Lets a person who has just proved their password choose another one before they get a session.
pub(super) fn demand(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: &Pending,
    subject: Subject,
) -> LoggedResponse {
    let is_demanded = true;
    let change = PasswordChange {
        subject,
        is_demanded,
    };
    let mut pending = pending.clone();
    pending.password_change = Some(Box::new(change));
    let sealed = match seal(context, entry, &mut pending) {
        Ok(sealed) => sealed,
        Err(logged) => return *logged,
    };
    let (page, flow) = (page_path(context, &entry.id), &pending.flow);
    let mut response = reply::see_other(&format!("{page}?flow={flow}"));
    flow_cookies::set_sealed(context, flow, &sealed, false, &mut response);
    LoggedResponse::own_path("password must be changed", response)
}

/// Seals a pending change. A person who wanted to this page is sent on to the home page afterwards.
fn seal(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: &mut Pending,
) -> Result<String, Box<LoggedResponse>> {
    if pending.return_to.path_query_fragment() == page_path(context, &entry.id) {
        let target = LoginTarget::default();
        pending.return_to = target.return_to_or_default(context, entry);
    }
    let sealed = context.site.login.seal_pending(pending);
    sealed.map_err(|error| {
        audit::login_failed(context, &entry.id, &error);
        let cause = audit::cause_of(&error);
        let page = reply::problem(context, cause, None);
        Box::new(LoggedResponse::own_path(cause.slug(), page))
    })
}

async fn show(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    query: &Fields,
) -> LoggedResponse {
    if request_kind(context.head) != RequestKind::Navigation {
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    if loads_in_frame(context.head) {
        // In a frame another page could cover the form (clickjacking).
        let sign_in_link = Href::new(format!("{}/sign_in", context.site.prefix));
        let page = reply::problem(context, Cause::FrameNeedsLogin, Some(sign_in_link));
        return LoggedResponse::own_path("embedded", page);
    }
    if !context.site.is_login_host(context.head) {
        let page = urls::on_login_host(context, &format!("password/{}/change", entry.id));
        return LoggedResponse::own_path("other host", reply::redirect(&page));
    }
    let flow = query.one("flow").ok().flatten();
    if let Some((pending, change)) = flow.and_then(|flow| opened(context, entry, flow).ok())
        && change.is_demanded
    {
        let form = ShownForm::new(StatusCode::OK, Some(PasswordChangeNotice::Demanded));
        return page(context, entry, &pending, &change, form);
    }
    match signed_in(context, entry).await {
        Ok(person) => begin(context, entry, &person, query, None).await,
        Err(logged) => *logged,
    }
}

/// The pending change that a form or a URL names.
fn opened(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    flow: &str,
) -> Result<(Pending, PasswordChange), PendingError> {
    let flow = FlowId::try_from(flow.to_owned()).map_err(|_| PendingError::Missing)?;
    let sealed = flow_cookies::sealed_login(context, &flow);
    let login = &context.site.login;
    login.open_password_change(&entry.id, &flow, sealed.as_deref())
}

/// The caller, if they are signed in through this connector; everybody else is sent to its form.
async fn signed_in(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
) -> Result<Person, Box<LoggedResponse>> {
    match caller(context).await {
        Ok(Caller::Person(person)) if person.session.via == entry.id => Ok(person),
        Ok(Caller::Person(_) | Caller::Anonymous(_) | Caller::Program(_)) => {
            let (prefix, page) = (&context.site.prefix, page_path(context, &entry.id));
            let start = format!("{prefix}/start?connector={}&rd={page}", entry.id);
            let to_form = reply::see_other(&start);
            Err(Box::new(LoggedResponse::own_path("nobody", to_form)))
        }
        Err(response) => Err(Box::new(LoggedResponse::own_path("unavailable", response))),
    }
}

/// Begins a change and shows its form.
async fn begin(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    person: &Person,
    query: &Fields,
    notice: Option<PasswordChangeNotice>,
) -> LoggedResponse {
    let target = LoginTarget::from_query(context, query);
    let options = BeginOptions::default();
    let begun = match begin::begin_without_response(context, entry, &target, options).await {
        Ok(begun) => begun,
        Err(error) => {
            let page = begin::begin_failed(context, entry, &target, &error);
            return LoggedResponse::own_path("begin failed", page);
        }
    };
    let change = PasswordChange {
        subject: person.session.subject.clone(),
        is_demanded: false,
    };
    let mut pending = begun.pending;
    pending.password_change = Some(Box::new(change.clone()));
    let sealed = match seal(context, entry, &mut pending) {
        Ok(sealed) => sealed,
        Err(logged) => return *logged,
    };
    let status = match notice {
        Some(_) => StatusCode::BAD_REQUEST,
        None => StatusCode::OK,
    };
    let logged = page(
        context,
        entry,
        &pending,
        &change,
        ShownForm::new(status, notice),
    );
    logged.map_response(|response| {
        flow_cookies::set_sealed(context, &pending.flow, &sealed, false, response);
    })
}

/// How the form is shown.
struct ShownForm {
    status: StatusCode,
    notice: Option<PasswordChangeNotice>,
}

impl ShownForm {
    fn new(status: StatusCode, notice: Option<PasswordChangeNotice>) -> Self {
        Self { status, notice }
    }
}

fn page(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    pending: &Pending,
    change: &PasswordChange,
    form: ShownForm,
) -> LoggedResponse {
    let page = PasswordChangePage {
        info: context.page_info(),
        login: change.subject.as_str(),
        post_to: Href::new(page_path(context, &entry.id)),
        flow: pending.flow.as_str(),
        notice: form.notice,
    };
    let response = reply::page_response(form.status, &page.render(context.lang()));
    LoggedResponse::own_path("change of a password", response)
}

async fn submit<B>(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let content_type = single_header(context.head.headers, CONTENT_TYPE.as_str()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let form = match read_body(body).await {
        Some(form) if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            Fields::parse(&form)
        }
        _ => None,
    };
    let Some(submitted) = form.as_ref().and_then(ChangeForm::parse) else {
        return form_again(context, entry, PasswordChangeNotice::Incomplete).await;
    };
    let (pending, change) = match opened(context, entry, submitted.flow) {
        Ok(opened) => opened,
        Err(error) => {
            audit::refused(context, Some(&entry.id), &error);
            let notice = match error {
                PendingError::Expired | PendingError::SettingsChanged => {
                    PasswordChangeNotice::Expired
                }
                PendingError::Missing | PendingError::Forged | PendingError::ConnectorGone => {
                    PasswordChangeNotice::Incomplete
                }
            };
            return form_again(context, entry, notice).await;
        }
    };
    if !change.is_demanded {
        match signed_in(context, entry).await {
            Ok(person) if person.session.subject == change.subject => {}
            Ok(_) => return form_again(context, entry, PasswordChangeNotice::Incomplete).await,
            Err(logged) => return *logged,
        }
    }
    if let Some(problem) = submitted.problem() {
        let form = ShownForm::new(StatusCode::BAD_REQUEST, Some(problem));
        return page(context, entry, &pending, &change, form);
    }
    verify(context, entry, (pending, change), &submitted).await
}

/// Begins again with a notice, if the person is signed in.
async fn form_again(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    notice: PasswordChangeNotice,
) -> LoggedResponse {
    match signed_in(context, entry).await {
        Ok(person) => begin(context, entry, &person, &Fields::default(), Some(notice)).await,
        Err(logged) => *logged,
    }
}

/// Verifies the old password, stores the new one, and signs the person in with it.
async fn verify(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    (pending, change): (Pending, PasswordChange),
    submitted: &ChangeForm<'_>,
) -> LoggedResponse {
    let fields = [
        ("login", change.subject.as_str()),
        ("password", submitted.old),
        (NEW_PASSWORD_FIELD, submitted.new),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let response = AuthnResponse {
        fields: Fields::new(fields.to_vec()),
        client: context.head.client_for_limits(),
        origin: super::session_origin(context),
        kind: None,
    };
    let login = &context.site.login;
    let outcome = login.finish(pending.clone(), response).await;
    let error = match &outcome {
        Ok(outcome) => outcome.as_ref().as_ref().err(),
        Err(error) => Some(error),
    };
    let Some(error) = error.filter(|error| error.is_wrong_password()) else {
        return callback::respond_to_outcome(context, &pending, &outcome, false).await;
    };
    wrong_password(context, entry, (&pending, &change), error)
}

fn wrong_password(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    (pending, change): (&Pending, &PasswordChange),
    error: &LoginError,
) -> LoggedResponse {
    audit::login_failed(context, &entry.id, error);
    let notice = PasswordChangeNotice::WrongPassword;
    // The change stays pending, so its flow cookie is kept.
    let form = ShownForm::new(StatusCode::UNAUTHORIZED, Some(notice));
    page(context, entry, pending, change, form)
}
