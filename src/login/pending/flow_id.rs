//! `FlowId`: the ID of a pending login.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys;
use crate::wording::error_of_text;

/// The length of a flow ID, in bytes.
const FLOW_BYTES: usize = 32;

/// The ID of one pending login: 32 characters of `a-z0-9`, also its `state` at the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlowId(String);

/// The text is no flow ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFlowId;

error_of_text!(InvalidFlowId: "the state is not one of this site's flow IDs", "state 不是本站的登录 ID");

impl FlowId {
    pub(super) fn random() -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let bytes = keys::random::<FLOW_BYTES>();
        Self(
            bytes
                .iter()
                .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
                .collect(),
        )
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FlowId {
    type Error = InvalidFlowId;

    fn try_from(text: String) -> Result<Self, InvalidFlowId> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if text.len() == FLOW_BYTES && text.bytes().all(is_allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidFlowId)
        }
    }
}

impl From<FlowId> for String {
    fn from(flow: FlowId) -> Self {
        flow.0
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
