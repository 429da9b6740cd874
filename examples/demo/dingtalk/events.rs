//! The events of DingTalk (事件订阅): signed and encrypted as those of WeCom, as JSON, with a time in milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use url::Url;

use super::super::simulated_http::EventRequest;
use super::people::{APP_KEY, CORP_ID};
use crate::wecom::{EventSealer, SealedEvent};

/// The 签名 token of the receiving URL.
pub const EVENT_TOKEN: &str = "simulatedDingToken1";
/// The 加密 aes_key of the receiving URL.
pub const EVENT_AES_KEY: &str = "ZGluZ3RhbGtBRVNLZXlPZlNpbXVsYXRlZERpbmdUYWx";

/// How long the receiver may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// An event about members or departments.
#[derive(Clone, Copy, Debug)]
pub enum DirectoryEvent<'a> {
    CheckUrl,
    Left(&'a [&'a str]),
    Modified(&'a [&'a str]),
    Added(&'a [&'a str]),
    DepartmentModified(&'a [i64]),
    Other(&'a str),
}

impl DirectoryEvent<'_> {
    /// The message of the event.
    pub fn message(&self, at: SystemTime) -> String {
        let people = |kind: &str, userids: &[&str]| {
            json!({
                "EventType": kind,
                "CorpId": CORP_ID,
                "UserId": userids,
                "OptStaffId": "zhangsan",
                "TimeStamp": unix_ms(at),
            })
        };
        let message: Value = match *self {
            Self::CheckUrl => json!({ "EventType": "check_url" }),
            Self::Left(userids) => people("user_leave_org", userids),
            Self::Modified(userids) => people("user_modify_org", userids),
            Self::Added(userids) => people("user_add_org", userids),
            Self::DepartmentModified(ids) => json!({
                "EventType": "org_dept_modify",
                "CorpId": CORP_ID,
                "DeptId": ids,
                "TimeStamp": unix_ms(at),
            }),
            Self::Other(kind) => json!({ "EventType": kind, "CorpId": CORP_ID }),
        };
        message.to_string()
    }
}

/// Seals with the settings of the receiving URL; the receiver is the application.
pub fn sealer() -> EventSealer {
    EventSealer {
        token: EVENT_TOKEN.to_owned(),
        aes_key: EVENT_AES_KEY.to_owned(),
        receive_id: APP_KEY.to_owned(),
    }
}

/// Seals a message for a delivery: query and body.
pub fn seal(sealer: &EventSealer, message: &str, at: SystemTime) -> (String, String) {
    let sealed = sealer.seal_with(message, &unix_ms(at));
    let body = json!({ "encrypt": sealed.encrypted }).to_string();
    // DingTalk sends the signature under both names.
    let signature = sealed.query.split('&').next().unwrap_or_default();
    let signature = signature.trim_start_matches("msg_signature=");
    (format!("signature={signature}&{}", sealed.query), body)
}

/// Whether a response is the encrypted `success` that DingTalk expects.
pub fn is_success(sealer: &EventSealer, answer: &[u8]) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let opened = sealer.open(
        text("encrypt"),
        text("timeStamp"),
        text("nonce"),
        text("msg_signature"),
    );
    opened.as_deref() == Some("success")
}

/// Delivers an event until the receiver accepts it, a few times at most.
pub(super) async fn deliver(mut to: Url, (query, body): (String, String)) {
    to.set_query(Some(&query));
    let event = EventRequest {
        to,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body,
        time_limit: DELIVERY_TIMEOUT,
    };
    event.deliver(|body| is_success(&sealer(), body)).await;
}

fn unix_ms(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().to_string()
}
