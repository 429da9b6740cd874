//! Applies changes of the managed settings, and says why one is refused.

use http::StatusCode;

use super::PageContext;
use crate::site::settings::{Author, Change, ChangeError, Means, Precondition, SettingsError};
use crate::telemetry::error_chain;
use crate::wording::Text;

/// Changes the managed settings.
///
/// # Errors
/// Nothing has changed. The status and the text of the page that says why.
pub(super) async fn apply(
    context: &PageContext<'_>,
    change: Change,
    precondition: Precondition,
) -> Result<u64, (StatusCode, String)> {
    let changed = attempt(context, change, precondition).await;
    changed.map_err(|error| refused(context, &error))
}

/// Changes the managed settings; returns the version.
///
/// # Errors
/// Nothing has changed.
pub(super) async fn attempt(
    context: &PageContext<'_>,
    change: Change,
    precondition: Precondition,
) -> Result<u64, ChangeError> {
    let author = author(context);
    let changed = context.console.live.change(change, precondition, &author);
    Ok(changed.await?.version)
}

/// Who makes a change, or tries settings.
pub(super) fn author(context: &PageContext<'_>) -> Author {
    Author {
        name: context.visitor.by.clone(),
        means: Means::Console,
        client: Some(context.request.head.client_ip),
    }
}

/// The status and the text of a refusal.
pub(super) fn refused(context: &PageContext<'_>, error: &ChangeError) -> (StatusCode, String) {
    let t = context.texts();
    match error {
        ChangeError::Store(_) | ChangeError::Settings(SettingsError::Store(_)) => {
            tracing::error!(error = %error_chain(error), "a change by the console failed: the store does not answer");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, t.store_unavailable.to_owned())
        }
        ChangeError::Precondition { .. } | ChangeError::Contended => {
            (StatusCode::CONFLICT, t.changed_meanwhile.to_owned())
        }
        ChangeError::NotFound(_) => (StatusCode::NOT_FOUND, t.unknown_connector.to_owned()),
        ChangeError::NoVersion(_) => (StatusCode::NOT_FOUND, t.unknown_version.to_owned()),
        ChangeError::FromFile { at, .. } | ChangeError::ReadOnly { at } => {
            (StatusCode::CONFLICT, format!("{}{at}", t.set_in_file))
        }
        ChangeError::Problems(_)
        | ChangeError::CannotBuild(_)
        | ChangeError::KindChanged { .. }
        | ChangeError::Settings(_) => {
            let text = Text::of(error);
            let text = context.request.lang.text(&text).to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, text)
        }
    }
}
