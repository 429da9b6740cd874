//! `GET` and `PUT` of a kind: shows and replaces the settings of its connector.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::envelope::Success;
use super::form::asks_for_nothing;
use super::kind::HengshiKind;
use super::problem::FieldError;
use super::refusal::{self, Refusal};
use super::refused::Refused;
use super::resolve::{self, Target};
use super::translate;
use crate::site::live::LiveSite;
use crate::site::settings::{Author, Change, Origin, Precondition, Settings};
use crate::store::ConnectorId;
use crate::text;

/// Who changes something, and what must hold before.
#[derive(Clone, Debug)]
pub(super) struct ChangeRequest {
    pub(super) author: Author,
    pub(super) precondition: Precondition,
    /// `?connector=ID`.
    pub(super) connector: Option<ConnectorId>,
}

/// The settings of the connector of a kind; `{}` if there is none.
pub(super) fn show(
    settings: &Settings,
    kind: HengshiKind,
    named: Option<&ConnectorId>,
) -> Result<Success, Refusal> {
    if kind == HengshiKind::Hengshi {
        return Ok(Success::of(Map::new().into()));
    }
    let target = resolve::target(settings, kind, named)?;
    Ok(match target.info {
        None => Success::of(Map::new().into()),
        Some(info) => Success {
            data: fields(settings, kind, &target.id).into(),
            etag: matches!(info.origin, Origin::Managed).then_some(info.etag),
        },
    })
}

/// The fields of a connector.
pub(super) fn fields(
    settings: &Settings,
    kind: HengshiKind,
    id: &ConnectorId,
) -> Map<String, Value> {
    let Some(table) = settings.table(id) else {
        return Map::new();
    };
    translate::to_fields(kind, table.expose(), settings.hengshi(id))
}

/// Replaces the settings of the connector of a kind, or makes it; returns the connector with what
/// [`show`] will show.
pub(super) async fn replace(
    live: &Arc<LiveSite>,
    kind: HengshiKind,
    request: &ChangeRequest,
    body: &Map<String, Value>,
) -> Result<(ConnectorId, Success), Refused> {
    let settings = live.settings();
    let Target { id, info } = resolve::target(&settings, kind, request.connector.as_ref())?;
    if let Some(Origin::File(at)) = info.as_ref().map(|info| &info.origin) {
        let what = text!("connector {id}", "认证源 {id}");
        let at = at.clone();
        return Err(Refusal::FromFile { what, at }.into());
    }
    if let Some(at) = settings.read_only() {
        return Err(Refusal::ReadOnly { at }.into());
    }
    let before = settings.managed_table(&id);
    let before = before.as_ref().map(|table| table.expose());
    let read = translate::to_table(kind, body, before).map_err(Refusal::Fields)?;
    let change = Change::PutByHengshi {
        id: id.clone(),
        settings: read.translated.table.clone().into(),
        fields: read.raw,
    };
    let changed = live.change(change, request.precondition, &request.author);
    let changed = changed.await.map_err(|error| {
        let field_of = |key_path: &str| read.translated.field_of(kind.table(), key_path);
        refusal::of_change(error, Some(kind), field_of)
    })?;
    let etag = changed.settings.connector(&id).map(|info| info.etag);
    let success = Success {
        data: fields(&changed.settings, kind, &id).into(),
        etag,
    };
    Ok((id, success))
}

/// Refuses every field of `PUT hengshi` that asks for something.
pub(super) fn refuse_fields_of_hengshi(body: &Map<String, Value>) -> Result<Success, Refusal> {
    let asking = body.iter().filter(|(_, value)| !asks_for_nothing(value));
    let problems: Vec<_> = asking
        .map(|(name, _)| {
            let zh = "内置用户没有设置：人员在文件或数据库中维护";
            let en = "the people of HENGSHI itself have no settings: they are kept in a file or in the store";
            FieldError::new(name.chars().take(64).collect::<String>(), zh, en)
        })
        .collect();
    match problems.is_empty() {
        true => Ok(Success::of(Map::new().into())),
        false => Err(Refusal::Fields(problems)),
    }
}
