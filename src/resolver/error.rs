//! `ResolveError`: why a look-up failed.

use std::io;
use std::sync::Arc;

use super::{ABANDONED_MAX, LOOKUPS_MAX};

use crate::text;
use crate::wording::{Text, error_of_text};

/// Why a look-up failed.
#[derive(Clone, Debug)]
pub enum ResolveError {
    Failed {
        host: Arc<str>,
        source: Arc<io::Error>,
    },
    Empty {
        host: Arc<str>,
    },
    Busy {
        host: Arc<str>,
    },
    /// Too many look-ups were abandoned.
    Stuck {
        host: Arc<str>,
    },
}

impl ResolveError {
    fn text(&self) -> Text {
        match self {
            Self::Failed { host, .. } => text!("look up {host}", "无法解析 {host}"),
            Self::Empty { host } => text!("{host} has no address", "{host} 没有地址"),
            Self::Busy { host } => text!(
                "look up {host}: {LOOKUPS_MAX} other names are being looked up",
                "无法解析 {host}：正在解析的名字已有 {LOOKUPS_MAX} 个"
            ),
            Self::Stuck { host } => text!(
                "look up {host}: the system has not answered {ABANDONED_MAX} earlier look-ups; \
                 look-ups continue when it answers one of them",
                "无法解析 {host}：系统对之前的 {ABANDONED_MAX} \
                 次解析都没有响应；其中一次有了响应后再继续"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(&**source),
            Self::Empty { .. } | Self::Busy { .. } | Self::Stuck { .. } => None,
        }
    }
}

error_of_text!(ResolveError, caused);
