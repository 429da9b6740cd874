//! `PUT dingtalk/sync`: starts a directory sync.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout};

use super::envelope::Success;
use super::form::asks_for_nothing;
use super::kind::HengshiKind;
use super::problem::Words;
use super::refusal::Refusal;
use super::refused::Refused;
use super::resolve;
use super::settings::{self, ChangeRequest};
use crate::login::Login;
use crate::login::directory_sync::{RunningSync, SyncRefused, SyncRequest};
use crate::people::directory_sync::SyncScope;
use crate::site::live::LiveSite;
use crate::store::ConnectorId;

const KIND: HengshiKind = HengshiKind::DingTalk;

/// How long the answer waits until the source accepts the application, or refuses it.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(5);

/// How often the progress of the sync is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Replaces the settings if the request has any, starts a sync, and answers with the settings as soon as
/// the source has accepted the application.
pub(super) async fn run(
    live: &Arc<LiveSite>,
    request: &ChangeRequest,
    body: &Map<String, Value>,
) -> Result<Success, Refused> {
    let (id, success) = match body.values().all(asks_for_nothing) {
        false => settings::replace(live, KIND, request, body).await?,
        true => kept(live, request)?,
    };
    let sync = SyncRequest {
        scope: SyncScope::Everything,
        dry_run: false,
        force: false,
        by: request.author.name.clone(),
    };
    let login = live.site().login.clone();
    require_token(&login, &id).await?;
    let running = login
        .start_sync(&id, sync)
        .map_err(|error| refused(&error))?;
    first_answer(&running).await?;
    Ok(success)
}

/// The settings that there are.
fn kept(live: &Arc<LiveSite>, request: &ChangeRequest) -> Result<(ConnectorId, Success), Refusal> {
    let settings = live.settings();
    let target = resolve::target(&settings, KIND, request.connector.as_ref())?;
    if target.info.is_none() {
        return Err(Refusal::NotInForce(Words::new(
            "钉钉还没有配置",
            "DingTalk is not configured",
        )));
    }
    let success = settings::show(&settings, KIND, request.connector.as_ref())?;
    Ok((target.id, success))
}

fn refused(error: &SyncRefused) -> Refusal {
    Refusal::NotInForce(match error {
        SyncRefused::Running { by, .. } => Words::new(
            format!("{by} 启动的另一个同步正在运行，请等它结束"),
            error.to_string(),
        ),
        _ => Words::new("钉钉没有启用，不能同步", error.to_string()),
    })
}

/// Asks the source for the token of the application, which it refuses to one that it does not know. A sync
/// would try again for a while.
async fn require_token(login: &Login, id: &ConnectorId) -> Result<(), Refusal> {
    let token = login
        .entry(id)
        .and_then(|entry| entry.connector.shared_app_token());
    let Some(token) = token else { return Ok(()) };
    match timeout(FIRST_ANSWER_MAX, token.app_token()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(source_refusal(error.source_code())),
        Err(_) => Err(source_refusal(0)),
    }
}

/// Waits until the source has answered, at most for a while.
async fn first_answer(running: &RunningSync) -> Result<(), Refusal> {
    let until = Instant::now() + FIRST_ANSWER_MAX;
    while Instant::now() < until && running.progress().departments_read == 0 {
        if let Ok(report) = timeout(LOOK_EVERY, running.report()).await {
            let code = report.and_then(|report| report.source_error);
            return code.map_or(Ok(()), |code| Err(source_refusal(code)));
        }
        sleep(Duration::ZERO).await;
    }
    Ok(())
}

fn source_refusal(code: i64) -> Refusal {
    Refusal::Source(match code {
        0 => Words::new(
            "钉钉没有响应，或者响应无法使用；详见日志和 GET /api/sync/ID",
            "DingTalk did not answer, or its answer cannot be used: see the log and GET /api/sync/ID",
        ),
        code => Words::new(
            format!("钉钉拒绝了请求，错误码 {code}；详见日志和 GET /api/sync/ID"),
            format!(
                "DingTalk refused with the error code {code}: see the log and GET /api/sync/ID"
            ),
        ),
    })
}
