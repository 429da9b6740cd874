//! `active-auth`: the connector to which people are redirected who are not signed in.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::envelope::Success;
use super::form::Form;
use super::kind::HengshiKind;
use super::problem::Words;
use super::refusal::{self, Refusal};
use super::refused::Refused;
use super::resolve;
use super::settings::ChangeRequest;
use crate::site::live::LiveSite;
use crate::site::settings::{Change, LoginChange, Settings};
use crate::store::ConnectorId;

const FIELD: &str = "authType";

/// The kind of the default connector, or its ID.
pub(super) fn show(settings: &Settings) -> Success {
    let login = settings.login();
    let name = match &login.default {
        None => HengshiKind::Hengshi.id().to_owned(),
        Some(id) => match resolve::kind_of(settings, id) {
            Some(kind) => kind.id().to_owned(),
            None => id.to_string(),
        },
    };
    Success {
        data: json!({ FIELD: name }),
        etag: Some(login.etag),
    }
}

/// Sets the default connector, and echoes its name.
pub(super) async fn set(
    live: &Arc<LiveSite>,
    request: &ChangeRequest,
    body: &Map<String, Value>,
) -> Result<Success, Refused> {
    let mut form = Form::new(body);
    let name = form.required(FIELD);
    form.refuse_unknown();
    let Some(name) = name.filter(|_| form.problems.is_empty()) else {
        return Err(Refusal::Fields(form.problems).into());
    };
    let settings = live.settings();
    let default = match HengshiKind::of_id(&name) {
        Some(HengshiKind::Hengshi) => None,
        Some(kind) => Some(resolve::target(&settings, kind, None)?.id),
        None => Some(connector_named(&settings, &name)?),
    };
    if let Some(id) = &default {
        require_in_force(&settings, id, &name)?;
    }
    let change = Change::SetLogin(LoginChange {
        default: Some(default),
        order: None,
    });
    let changed = live.change(change, request.precondition, &request.author);
    let changed = changed
        .await
        .map_err(|error| refusal::of_change(error, None, |_| (FIELD.to_owned(), false)))?;
    Ok(Success {
        data: json!({ FIELD: name }),
        etag: Some(changed.settings.login().etag),
    })
}

fn connector_named(settings: &Settings, name: &str) -> Result<ConnectorId, Refusal> {
    let id: Option<ConnectorId> = name.parse().ok();
    let id = id.filter(|id| settings.connector(id).is_some());
    id.ok_or_else(|| {
        let kinds = HengshiKind::ALL.map(HengshiKind::id).join(", ");
        let zh = format!("既不是认证方式，也不是已有的认证源；认证方式有：{kinds}");
        let en = format!("it is neither a kind nor a connector; the kinds are {kinds}");
        Refusal::field(FIELD, zh, en)
    })
}

fn require_in_force(settings: &Settings, id: &ConnectorId, name: &str) -> Result<(), Refusal> {
    let words = match settings.connector(id) {
        None => Words::new(
            format!("{name} 还没有配置"),
            format!("{name} is not configured"),
        ),
        Some(info) if info.shadowed => Words::new(
            format!("{name} 被配置文件中同名的认证源遮盖"),
            format!("{name} is shadowed by a connector of the file"),
        ),
        Some(info) if !info.enabled => {
            Words::new(format!("{name} 已停用"), format!("{name} is disabled"))
        }
        Some(_) => return Ok(()),
    };
    Err(Refusal::NotInForce(words))
}
