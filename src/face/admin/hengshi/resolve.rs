//! Which connector a kind of HENGSHI is.

use super::kind::HengshiKind;
use super::refusal::Refusal;
use crate::site::settings::{ConnectorInfo, Settings};
use crate::store::ConnectorId;

/// The connector that a request is about.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) id: ConnectorId,
    /// What is known of it; `None` if it does not exist.
    pub(super) info: Option<ConnectorInfo>,
}

/// The connector that `?connector=ID` names, or else the one of the kind: the one with the name of the kind
/// as its ID, or the only one. The file's counts if there is a managed one with the same ID.
pub(super) fn target(
    settings: &Settings,
    kind: HengshiKind,
    named: Option<&ConnectorId>,
) -> Result<Target, Refusal> {
    if let Some(id) = named {
        let info = settings.connector(id);
        if let Some(info) = &info
            && !info.kind.is_empty()
            && info.kind != kind.table()
        {
            let zh = format!("认证源 {id} 是 {} 类型，不是 {}", info.kind, kind.id());
            let en = format!(
                "the connector {id} is of the kind {}, not {}",
                info.kind,
                kind.id()
            );
            return Err(Refusal::field("connector", zh, en));
        }
        return Ok(Target {
            id: id.clone(),
            info,
        });
    }
    let own = own_id(kind)?;
    if let Some(info) = of_kind(settings, kind).find(|info| info.id == own) {
        return Ok(Target {
            id: own,
            info: Some(info),
        });
    }
    let mut ids: Vec<_> = of_kind(settings, kind).map(|info| info.id).collect();
    ids.dedup();
    match ids.as_slice() {
        [] => Ok(Target {
            info: settings.connector(&own),
            id: own,
        }),
        [only] => Ok(Target {
            id: only.clone(),
            info: settings.connector(only),
        }),
        _ => Err(Refusal::Several {
            kind: kind.id(),
            ids,
        }),
    }
}

/// The kind under whose name HENGSHI knows a connector, if it has one.
pub(super) fn kind_of(settings: &Settings, id: &ConnectorId) -> Option<HengshiKind> {
    HengshiKind::ALL.into_iter().find(|kind| {
        let target = target(settings, *kind, None);
        target.is_ok_and(|target| target.info.is_some() && target.id == *id)
    })
}

/// The ID of a connector that is made for the kind.
fn own_id(kind: HengshiKind) -> Result<ConnectorId, Refusal> {
    kind.id().parse().map_err(|_| Refusal::NotFound)
}

/// The connectors of a kind. One whose ID is the name of another kind belongs to that.
fn of_kind(settings: &Settings, kind: HengshiKind) -> impl Iterator<Item = ConnectorInfo> {
    let connectors = settings.connectors().into_iter();
    connectors.filter(move |info| {
        let named = HengshiKind::of_id(info.id.as_str());
        let belongs = named.is_none_or(|named| named == kind || named.table() != kind.table());
        info.kind == kind.table() && belongs && !info.shadowed
    })
}
