//! `/console/sessions`: who is signed in, and ends sessions.

use askama::Template;
use http::{Response, StatusCode};

use super::super::device::device;
use super::form::Form;
use super::layout::Frame;
use super::moment::Moment;
use super::notice::Notice;
use super::pager::Pager;
use super::{PATH, PageContext, audit, response};
use crate::request::Body;
use crate::store::{
    AccountId, ConnectorId, ListedSession, LoginName, PeopleQuery, RevocationScope, SessionId,
    SessionsQuery, StoreError,
};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::wording::Text;

/// The most sessions that are listed, on all pages together.
const LISTED_MAX: u32 = 10_000;
/// The sessions of one page.
const PER_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "console/sessions.html")]
struct SessionsPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

struct Page<'a> {
    problem: Option<&'a str>,
    login: String,
    connector: String,
    connectors: Vec<String>,
    rows: Vec<Row>,
    pager: Pager,
    may_change: bool,
    csrf_token: &'a str,
    post_to: String,
}

/// A session in a list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) name: String,
    pub(super) login: String,
    pub(super) connector: String,
    pub(super) address: String,
    pub(super) device: String,
    pub(super) user_agent: String,
    pub(super) began: Moment,
    pub(super) used: Moment,
}

#[derive(Template)]
#[template(path = "console/confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame<'a>,
    csrf_token: &'a str,
}

/// Why sessions are not ended.
enum EndError {
    /// Says what does not exist.
    Unknown(&'static str),
    Store(StoreError),
}

impl From<StoreError> for EndError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Row {
    pub(super) fn new(context: &PageContext<'_>, listed: ListedSession) -> Self {
        let ListedSession {
            session,
            login,
            name,
            origin,
        } = listed;
        let user_agent = origin.user_agent.unwrap_or_default();
        Self {
            id: session.public_id.to_string(),
            account: session.account.to_string(),
            name: name.unwrap_or_else(|| login.to_string()),
            login: login.to_string(),
            connector: session.connector.to_string(),
            address: origin.address.map(|ip| ip.to_string()).unwrap_or_default(),
            device: device(&user_agent),
            user_agent,
            began: context.moment(session.minted_at),
            used: context.moment(session.used_at),
        }
    }
}

/// Shows the sessions that the query asks for. With a problem, the page says why nothing was changed.
pub(super) async fn show(context: &PageContext<'_>, problem: Option<&str>) -> Response<Body> {
    let listed = match listed(context).await {
        Ok(listed) => listed,
        Err(error) => return response::store_failed(context, &error),
    };
    let request = context.request;
    let (pager, range) = Pager::numbered(request, listed.len(), PER_PAGE);
    let shown = listed.into_iter().skip(range.start).take(range.len());
    let page = Page {
        problem,
        login: request.parameter("login").unwrap_or_default().to_owned(),
        connector: request
            .parameter("connector")
            .unwrap_or_default()
            .to_owned(),
        connectors: context.connector_ids(),
        rows: shown.map(|listed| Row::new(context, listed)).collect(),
        pager,
        may_change: context.may_change(),
        csrf_token: &context.visitor.csrf_token,
        post_to: format!("{PATH}/sessions{}", request.query_with("action", None)),
    };
    let status = match problem {
        Some(_) => StatusCode::NOT_FOUND,
        None => StatusCode::OK,
    };
    let frame = Frame::of(context);
    let template = SessionsPage { frame, page };
    response::page(context.request, status, &template)
}

/// None for a login or a connector that cannot exist.
async fn listed(context: &PageContext<'_>) -> Result<Vec<ListedSession>, StoreError> {
    let mut query = SessionsQuery {
        max: LISTED_MAX,
        ..SessionsQuery::default()
    };
    if let Some(login) = context.request.parameter("login") {
        match account_named(context, login).await? {
            Some((account, _)) => query.account = Some(account),
            None => return Ok(Vec::new()),
        }
    }
    if let Some(connector) = context.request.parameter("connector") {
        match connector.parse() {
            Ok(connector) => query.connector = Some(connector),
            Err(_) => return Ok(Vec::new()),
        }
    }
    context.services.sessions.list(&query).await
}

async fn account_named(
    context: &PageContext<'_>,
    login: &str,
) -> Result<Option<(AccountId, LoginName)>, StoreError> {
    let Ok(login) = login.parse::<LoginName>() else {
        return Ok(None);
    };
    let directory = context.services.people.directory();
    let account = directory.account_by_login(&login).await?;
    Ok(account.map(|account| (account.id, account.login)))
}

/// Ends one session, or those of a person, of a connector or of everyone.
pub(super) async fn change(context: &PageContext<'_>, form: &Form) -> Response<Body> {
    let ended = match (form.action(), form.value("everyone")) {
        ("end", _) => end_one(context, form.value("session").unwrap_or_default()).await,
        ("end-all", Some("yes")) if form.value("confirm") != Some("yes") => {
            let page = ConfirmPage {
                frame: Frame::of(context),
                csrf_token: &context.visitor.csrf_token,
            };
            return response::page(context.request, StatusCode::OK, &page);
        }
        ("end-all", Some("yes")) => {
            let note = Text::fixed("everyone", "所有人");
            end_many(context, &RevocationScope::Everyone, &note, None).await
        }
        ("end-all", _) => end_named(context, form).await,
        _ => Err(EndError::Unknown(context.texts().unknown_action)),
    };
    match ended {
        Ok(Ok(notice)) => {
            let query = context.request.query_with("done", Some(notice.name()));
            response::redirect(&format!("{PATH}/sessions{query}"))
        }
        Ok(Err(error)) => response::not_yet_stored(context, &error),
        Err(EndError::Unknown(problem)) => show(context, Some(problem)).await,
        Err(EndError::Store(error)) => response::store_failed(context, &error),
    }
}

/// What was done, or why it is not stored yet.
type Ended = Result<Notice, StoreError>;

/// Ends one session.
async fn end_one(context: &PageContext<'_>, id: &str) -> Result<Ended, EndError> {
    let unknown = || EndError::Unknown(context.texts().unknown_session);
    let public_id = SessionId::try_from(id.to_owned()).map_err(|_| unknown())?;
    end_session(context, &public_id).await?.ok_or_else(unknown)
}

/// Ends a session; `None` if there is none with this ID.
///
/// # Errors
/// The store did not respond: nothing has changed.
pub(super) async fn end_session(
    context: &PageContext<'_>,
    public_id: &SessionId,
) -> Result<Option<Ended>, StoreError> {
    let sessions = &context.services.sessions;
    let Some(key) = sessions.session_key(public_id).await? else {
        return Ok(None);
    };
    let stored = sessions.revoke(&RevocationScope::Session(key)).await;
    let reason = audit::reason(&Text::default(), &stored);
    context.services.telemetry.audit(&AuditRecord {
        session: Some(public_id),
        ..audit::of_change(context, AuditEvent::Revoked, &reason)
    });
    Ok(Some(stored.map(|_| Notice::Ended)))
}

/// Ends the sessions of the person or of the connector that the form names.
async fn end_named(context: &PageContext<'_>, form: &Form) -> Result<Ended, EndError> {
    let t = context.texts();
    match (form.value("login"), form.value("connector")) {
        (Some(login), None) => {
            let account = account_named(context, login).await?;
            let (account, login) = account.ok_or(EndError::Unknown(t.unknown_login))?;
            let scope = RevocationScope::Account(account);
            end_many(context, &scope, &Text::default(), Some(login.as_str())).await
        }
        (None, Some(connector)) => {
            let unknown = || EndError::Unknown(t.unknown_connector);
            let connector: ConnectorId = connector.parse().map_err(|_| unknown())?;
            if !is_known(context, &connector).await? {
                return Err(unknown());
            }
            {
                let scope = RevocationScope::Connector(connector);
                end_many(context, &scope, &Text::default(), None).await
            }
        }
        _ => Err(EndError::Unknown(t.unknown_action)),
    }
}

/// Whether a connector is configured, or was: somebody has an identity of it.
async fn is_known(context: &PageContext<'_>, connector: &ConnectorId) -> Result<bool, StoreError> {
    if context.site.login.entry(connector).is_some() {
        return Ok(true);
    }
    let query = PeopleQuery {
        connector: Some(connector.clone()),
        max: 1,
        ..PeopleQuery::default()
    };
    Ok(!context.services.people.list(&query).await?.is_empty())
}

/// Ends all sessions of a person, of a connector or of everyone.
async fn end_many(
    context: &PageContext<'_>,
    scope: &RevocationScope,
    note: &Text,
    login: Option<&str>,
) -> Result<Ended, EndError> {
    let stored = context.services.sessions.revoke(scope).await;
    if let Err(StoreError::NoAccount { .. }) = stored {
        return Err(EndError::Unknown(context.texts().unknown_login));
    }
    let reason = audit::reason(note, &stored);
    let mut record = audit::of_change(context, AuditEvent::Revoked, &reason);
    record.login = login;
    match scope {
        RevocationScope::Account(account) => record.account = Some(account),
        RevocationScope::Connector(connector) => record.connector = Some(connector.as_str()),
        RevocationScope::Everyone | RevocationScope::Session(_) => {}
    }
    context.services.telemetry.audit(&record);
    Ok(stored.map(|_| Notice::EndedAll))
}

/// Ends all sessions of one person, on the page of the person.
pub(super) async fn end_all_of(
    context: &PageContext<'_>,
    account: AccountId,
    login: &LoginName,
) -> Result<Ended, StoreError> {
    let scope = RevocationScope::Account(account);
    match end_many(context, &scope, &Text::default(), Some(login.as_str())).await {
        Ok(ended) => Ok(ended),
        Err(EndError::Store(error)) => Err(error),
        Err(EndError::Unknown(_)) => Err(StoreError::NoAccount { account }),
    }
}
