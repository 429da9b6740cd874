//! `SettingError`: an invalid setting of a provider.

use crate::expression::CompileError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// An invalid setting.
#[derive(Debug)]
pub(in crate::login::connector::oauth2) enum SettingError {
    Key {
        key: &'static str,
        /// The name of the entry, if the key is a table.
        name: Option<String>,
        message: Text,
        help: Text,
    },
    Expression {
        key: &'static str,
        source: CompileError,
    },
}

impl SettingError {
    fn text(&self) -> Text {
        match self {
            Self::Key {
                key, message, help, ..
            } => text!("{key}: {message}: {help}", "{key}：{message:#}：{help:#}"),
            Self::Expression { key, .. } => text!(
                "the expression `{key}` does not compile",
                "表达式 `{key}` 无法编译"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Expression { source, .. } => Some(source),
            Self::Key { .. } => None,
        }
    }
}

error_of_text!(SettingError, caused);

pub(super) fn setting_error(key: &'static str, message: Text, help: Text) -> SettingError {
    SettingError::Key {
        key,
        name: None,
        message,
        help,
    }
}
