//! `Secret<T>`: a value that is never printed. `SecretSource`: where a secret is stored.

use std::borrow::Cow;
use std::env::VarError;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::text;
use crate::wording::{Text, error_of_text, full_path};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const BYTE_ORDER_MARK: char = '\u{feff}';

const LINE_END: [char; 2] = ['\r', '\n'];

/// A value whose `Debug` shows nothing and whose memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. The caller must not print or log it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Secret<T> {}

/// Where a secret is stored: a file, an environment variable, or the configuration itself.
///
/// Written `{ file = "/path" }`, `{ env = "NAME" }` or `"text"`. Nothing is read before
/// [`SecretSource::read`].
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The content of a file, without a byte order mark and white space at its ends.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
    /// Written in the configuration; `menshen check` warns.
    Literal(Secret<String>),
}

impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Env(a), Self::Env(b)) => a == b,
            (Self::Literal(a), Self::Literal(b)) => a.expose() == b.expose(),
            (Self::File(_) | Self::Env(_) | Self::Literal(_), _) => false,
        }
    }
}

/// Why a secret could not be read.
#[derive(Debug)]
pub enum SecretError {
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    Env {
        name: String,
        source: VarError,
    },
    Empty {
        location: Text,
    },
}

impl SecretError {
    fn text(&self) -> Text {
        match self {
            Self::File { path, .. } => {
                let path = full_path(path);
                text!("read the secret file {path}", "无法读取密钥文件 {path}")
            }
            Self::Env {
                name,
                source: VarError::NotPresent,
            } => text!(
                "the environment variable {name} is not set: set it for the service, or write \
                 {{ file = \"...\" }}",
                "没有设置环境变量 {name}：请给服务设置，或改用 {{ file = \"...\" }}"
            ),
            Self::Env { name, .. } => text!(
                "the environment variable {name} is not UTF-8",
                "环境变量 {name} 不是 UTF-8"
            ),
            Self::Empty { location } => text!(
                "the secret from {location} is empty",
                "来自{location:#}的密钥是空的"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            // The text says everything.
            Self::Env { .. } | Self::Empty { .. } => None,
        }
    }
}

error_of_text!(SecretError, caused);

impl SecretSource {
    /// Reads the secret now.
    pub fn read(&self) -> Result<Secret<String>, SecretError> {
        let text = match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|source| SecretError::File {
                    path: path.clone(),
                    source,
                })?
            }
            Self::Env(name) => std::env::var(name).map_err(|source| SecretError::Env {
                name: name.clone(),
                source: without_value(&source),
            })?,
            Self::Literal(secret) => secret.expose().clone(),
        };
        let text = Zeroizing::new(text);
        let trimmed = match self {
            Self::File(_) => trim_file(&text),
            // No editor adds white space to these, so it is part of the secret.
            Self::Env(_) | Self::Literal(_) => text.trim_end_matches(LINE_END),
        };
        if trimmed.is_empty() {
            return Err(SecretError::Empty {
                location: self.location(),
            });
        }
        Ok(Secret::new(trimmed.to_owned()))
    }

    /// What [`Self::read`] trims off the file, besides line ends after the secret; `None` if nothing, or
    /// if the file cannot be read.
    pub fn trimmed_parts(&self) -> Option<TrimmedParts> {
        let Self::File(path) = self else {
            return None;
        };
        let text = Zeroizing::new(std::fs::read_to_string(path).ok()?);
        let secret = trim_file(&text);
        let has_mark = text.starts_with(BYTE_ORDER_MARK);
        let has_white_space = text
            .trim_start_matches(BYTE_ORDER_MARK)
            .trim_end_matches(LINE_END)
            != secret;
        match (has_mark, has_white_space) {
            (false, false) => None,
            (true, false) => Some(TrimmedParts::ByteOrderMark),
            (false, true) => Some(TrimmedParts::WhiteSpace),
            (true, true) => Some(TrimmedParts::Both),
        }
    }

    /// The file to watch for changes, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Env(_) | Self::Literal(_) => None,
        }
    }

    fn location(&self) -> Text {
        match self {
            Self::File(path) => text!("the file {}", "文件 {} ", full_path(path)),
            Self::Env(name) => text!("the environment variable {name}", "环境变量 {name} "),
            Self::Literal(_) => text!("the configuration", "配置"),
        }
    }
}

/// What is trimmed off the content of a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimmedParts {
    /// A byte order mark, as editors on Windows write it.
    ByteOrderMark,
    WhiteSpace,
    Both,
}

impl TrimmedParts {
    pub fn text(self) -> Text {
        match self {
            Self::ByteOrderMark => text!("a byte order mark", "字节顺序标记（BOM）"),
            Self::WhiteSpace => text!("white space", "空白"),
            Self::Both => text!(
                "a byte order mark and white space",
                "字节顺序标记（BOM）和空白"
            ),
        }
    }
}

/// The secret in the content of its file.
fn trim_file(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK)
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a secret: {{ file = \"/path\" }}, {{ env = \"NAME\" }} or a string",
            "密钥：{{ file = \"/路径\" }}、{{ env = \"变量名\" }} 或文本"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretSource, E> {
        Ok(SecretSource::Literal(Secret::new(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom(text!(
                "`file` or `env` is missing",
                "缺少 `file` 或 `env`"
            )));
        };
        let source = match key.as_str() {
            "file" => SecretSource::File(map.next_value()?),
            "env" => SecretSource::Env(map.next_value()?),
            other => return Err(A::Error::unknown_field(other, &["file", "env"])),
        };
        match map.next_key::<String>()? {
            None => Ok(source),
            Some(_) => Err(A::Error::custom(text!(
                "a secret has one source: either `file` or `env`",
                "密钥只有一个来源：`file` 或 `env`"
            ))),
        }
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["file"], "additionalProperties": false,
              "properties": { "file": { "type": "string" } } },
            { "type": "object", "required": ["env"], "additionalProperties": false,
              "properties": { "env": { "type": "string" } } },
        ] })
    }
}

/// The error of a variable without its value, which is the secret.
fn without_value(error: &VarError) -> VarError {
    match error {
        VarError::NotPresent => VarError::NotPresent,
        VarError::NotUnicode(_) => VarError::NotUnicode(OsString::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Document {
        secret: SecretSource,
    }

    #[test]
    fn a_secret_never_prints() {
        let document: Document = toml::from_str("secret = 'hunter2'").unwrap();
        assert!(!format!("{document:?}").contains("hunter2"));
        assert!(!format!("{:?}", document.secret.read().unwrap()).contains("hunter2"));
        let error = without_value(&VarError::NotUnicode("hunter2".into()));
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_has_exactly_one_source() {
        assert!(toml::from_str::<Document>("secret = { file = '/a', env = 'B' }").is_err());
        assert!(toml::from_str::<Document>("secret = { path = '/a' }").is_err());
        assert!(toml::from_str::<Document>("secret = { file = '/a' }").is_ok());
    }

    #[test]
    fn an_error_names_the_missing_file() {
        let source = SecretSource::File("/nowhere/secret".into());
        assert!(
            source
                .read()
                .unwrap_err()
                .to_string()
                .contains("/nowhere/secret")
        );
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let source = SecretSource::Literal(Secret::new("\n".to_owned()));
        assert!(matches!(source.read(), Err(SecretError::Empty { .. })));
    }

    #[test]
    fn a_file_is_read_without_byte_order_mark_and_white_space() {
        let folder = std::env::temp_dir().join(format!("menshen-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (number, (content, trimmed_parts)) in [
            ("hunter 2", None),
            ("hunter 2\n", None),
            ("hunter 2\r\n\r\n", None),
            ("\u{feff}hunter 2\r\n", Some(TrimmedParts::ByteOrderMark)),
            (" hunter 2", Some(TrimmedParts::WhiteSpace)),
            ("hunter 2 \t\n", Some(TrimmedParts::WhiteSpace)),
            ("\n\u{a0}hunter 2\u{3000}\n", Some(TrimmedParts::WhiteSpace)),
            ("\u{feff} hunter 2\n \n", Some(TrimmedParts::Both)),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.join(number.to_string());
            std::fs::write(&path, content).unwrap();
            let source = SecretSource::File(path);
            assert_eq!(source.read().unwrap().expose(), "hunter 2", "{content:?}");
            assert_eq!(source.trimmed_parts(), trimmed_parts, "{content:?}");
        }
        let empty = folder.join("empty");
        std::fs::write(&empty, "\u{feff} \r\n").unwrap();
        let read = SecretSource::File(empty).read();
        assert!(matches!(read, Err(SecretError::Empty { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
        // In a configuration or a variable, white space is part of the secret.
        let literal = SecretSource::Literal(Secret::new(" hunter2 ".to_owned()));
        assert_eq!(literal.read().unwrap().expose(), " hunter2 ");
    }
}
