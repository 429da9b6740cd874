//! The audit trail in the store: lines of the log, kept for searches.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::Deserialize;

use super::{AccountId, ConnectorId, StoreError};
use crate::clock::Timestamp;
use crate::telemetry::{AuditCause, AuditEvent, AuditLine};

/// Adds, finds and deletes lines of the audit trail.
#[async_trait]
pub trait AuditLogStore: fmt::Debug + Send + Sync {
    /// Adds lines, all of them or none, and returns how many. A line that is there already is not added again.
    async fn add_audit_lines(&self, lines: &[AuditLine]) -> Result<u64, StoreError>;

    /// The lines that match.
    async fn audit_lines(&self, query: &AuditQuery) -> Result<Vec<StoredAuditLine>, StoreError>;

    /// Deletes at most `max` of the lines before a time; returns the number of deleted lines.
    async fn delete_audit_lines(&self, before: Timestamp, max: u32) -> Result<u64, StoreError>;

    /// How many lines there are beyond `kept`, by who caused them: first all of anonymous clients, then
    /// those of people, then those of administrators.
    async fn excess_audit_lines(&self, kept: u32) -> Result<Vec<(AuditCause, u64)>, StoreError>;

    /// Deletes the oldest lines with this cause, at most `max`; returns the number of deleted lines.
    async fn delete_oldest_audit_lines(
        &self,
        cause: AuditCause,
        max: u32,
    ) -> Result<u64, StoreError>;
}

/// Which lines are listed. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    pub event: Option<AuditEvent>,
    /// The login name, compared without case.
    pub login: Option<String>,
    pub account: Option<AccountId>,
    pub connector: Option<ConnectorId>,
    /// Only lines of this time or later.
    pub since: Option<Timestamp>,
    /// Only lines before this time.
    pub until: Option<Timestamp>,
    pub order: AuditOrder,
    /// Only lines after this one in the order of the list.
    pub after: Option<AuditPosition>,
    pub max: u32,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOrder {
    #[default]
    Newest,
    Oldest,
}

/// Where a line stands in the order of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct AuditPosition {
    pub at: Timestamp,
    /// Orders lines of one time.
    pub number: i64,
}

/// A text that is not the position of a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the position of an audit line: send `next` of the page before")]
pub struct InvalidAuditPosition;

/// A line of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAuditLine {
    pub position: AuditPosition,
    /// One JSON object, without a line end.
    pub json: String,
}

/// Milliseconds since 1970, `.`, and the number.
impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.unix_ms(), self.number)
    }
}

impl FromStr for AuditPosition {
    type Err = InvalidAuditPosition;

    fn from_str(text: &str) -> Result<Self, InvalidAuditPosition> {
        let (at, number) = text.split_once('.').ok_or(InvalidAuditPosition)?;
        Ok(Self {
            at: Timestamp::from_unix_ms(at.parse().map_err(|_| InvalidAuditPosition)?),
            number: number.parse().map_err(|_| InvalidAuditPosition)?,
        })
    }
}

impl TryFrom<String> for AuditPosition {
    type Error = InvalidAuditPosition;

    fn try_from(text: String) -> Result<Self, InvalidAuditPosition> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for (at, number) in [(0, 1), (1_800_000_000_123, i64::MAX), (-5, 0)] {
            let position = AuditPosition {
                at: Timestamp::from_unix_ms(at),
                number,
            };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in [
            "",
            "1",
            "1.",
            ".1",
            "1.2.3",
            "a.1",
            "1.99999999999999999999",
            "1. 2",
        ] {
            assert_eq!(
                bad.parse::<AuditPosition>(),
                Err(InvalidAuditPosition),
                "{bad}"
            );
        }
    }
}
