//! `LiveSite::examine`: asks the source of a connector what it says to settings, and writes who did it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::LiveSite;
use crate::login::connector::Finding;
use crate::site::Services;
use crate::site::settings::{Author, ChangeError, ConnectorTable};
use crate::store::ConnectorId;
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};
use crate::text;
use crate::wording::Text;

/// How long all calls to a source may take.
pub const EXAMINE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most trials at the same time.
const TRIALS_MAX: usize = 8;

/// What a source says to settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// The results, as `check --online` prints them.
    Answered(Vec<Finding>),
    /// It did not answer within [`EXAMINE_TIMEOUT`].
    NoAnswer,
}

/// The permits of trials.
#[derive(Debug)]
pub(super) struct Trials(Arc<Semaphore>);

impl Default for Trials {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TRIALS_MAX)))
    }
}

/// Who tries which settings.
struct Tried {
    id: ConnectorId,
    is_unsaved: bool,
    author: Author,
}

impl LiveSite {
    /// Asks the source of a connector what it says to its saved settings, or to unsaved ones, which keep
    /// secrets as [`crate::site::settings::Change::Put`] does. Changes nothing. Writes an audit record, because
    /// the settings say to which hosts requests and secrets are sent.
    ///
    /// # Errors
    /// As [`LiveSite::draft`]: no request was sent.
    ///
    /// # Cancel safety
    /// If the future is dropped, the source is asked nevertheless, and the audit record is written.
    pub async fn examine(
        &self,
        id: &ConnectorId,
        unsaved: Option<&ConnectorTable>,
        author: &Author,
    ) -> Result<Trial, ChangeError> {
        let services = self.services.clone();
        let tried = Tried {
            id: id.clone(),
            is_unsaved: unsaved.is_some(),
            author: author.clone(),
        };
        let draft = match self.draft(id, unsaved) {
            Ok(draft) => draft,
            Err(error) => {
                let why = Text::of(&error_chain(&error));
                tried.record(&services, &text!("refused: {why}", "被拒绝：{why:#}"));
                return Err(error);
            }
        };
        let permits = Arc::clone(&self.trials.0);
        let asking = tokio::spawn(async move {
            let examined = timeout(EXAMINE_TIMEOUT, async {
                // It is never closed.
                let _permit = permits.acquire_owned().await;
                draft.examine().await
            });
            let trial = examined.await.map_or(Trial::NoAnswer, Trial::Answered);
            tried.record(&services, &trial.result(draft.hosts()));
            trial
        });
        Ok(asking.await.unwrap_or(Trial::NoAnswer))
    }
}

impl Trial {
    /// The result in the audit record. What the source says is left out.
    fn result(&self, hosts: &[String]) -> Text {
        let hosts = match hosts {
            [] => Text::fixed("no host", "没有主机"),
            hosts => Text::same(hosts.join(", ")),
        };
        match self {
            Self::Answered(findings) => {
                let good = findings.iter().filter(|finding| finding.good).count();
                let bad = findings.len() - good;
                text!(
                    "at {hosts}: {good} good, {bad} bad",
                    "访问 {hosts:#}：{good} 项正常，{bad} 项有问题"
                )
            }
            Self::NoAnswer => text!(
                "at {hosts}: no answer in time",
                "访问 {hosts:#}：没有及时响应"
            ),
        }
    }
}

impl Tried {
    fn record(&self, services: &Services, result: &Text) {
        let Author {
            name,
            means,
            client,
        } = &self.author;
        let settings = match self.is_unsaved {
            true => Text::fixed("unsaved settings of connector", "未保存的设置，认证源"),
            false => Text::fixed("connector", "认证源"),
        };
        let (id, means) = (&self.id, means.text());
        let reason = text!(
            "test {settings} {id} through the {means}: {result}",
            "通过{means:#}测试{settings:#} {id}：{result:#}"
        );
        services.telemetry.audit(&AuditRecord {
            connector: Some(id.as_str()),
            client: *client,
            by: Some(name),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Config, services.clock.now())
        });
    }
}
