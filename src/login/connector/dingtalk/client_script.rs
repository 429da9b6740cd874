//! `ClientScript`: where the page in the DingTalk client gets the script (JSAPI) with which it talks to the
//! client.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::super::ConnectorBuildError;
use crate::text;
use crate::wording::{Text, full_path};

/// The largest script that menshen serves, in bytes. Those of DingTalk have about half a megabyte.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A script for pages: `"https://…"` or `{ file = "/path" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientScript {
    /// The browser loads it from there.
    Url(Url),
    /// menshen serves this file.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    file: PathBuf,
}

impl ClientScript {
    /// Whether the URL can stand in a Content-Security-Policy and is not a page of a login.
    pub(super) fn is_usable(&self) -> bool {
        let Self::Url(url) = self else {
            return true;
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_~%@".contains(&byte);
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() != "/"
            && url.path().bytes().all(is_allowed)
    }

    pub(super) fn url(&self) -> Option<&Url> {
        match self {
            Self::Url(url) => Some(url),
            Self::File(_) => None,
        }
    }

    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Url(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// The text of the file, if menshen serves one.
    pub(super) fn read(&self) -> Result<Option<String>, ConnectorBuildError> {
        let Some(path) = self.file() else {
            return Ok(None);
        };
        let failed = |why: Text| {
            let path = full_path(path);
            ConnectorBuildError::Setting(text!(
                "jsapi_url: the file {path} {why}",
                "jsapi_url：文件 {path} {why:#}"
            ))
        };
        let metadata = std::fs::metadata(path);
        let metadata = metadata
            .map_err(|error| failed(text!("cannot be read: {error}", "无法读取：{error}")))?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(failed(text!(
                "has more than {FILE_BYTES_MAX} bytes",
                "超过 {FILE_BYTES_MAX} 字节"
            )));
        }
        let text = std::fs::read_to_string(path);
        let text =
            text.map_err(|error| failed(text!("cannot be read: {error}", "无法读取：{error}")))?;
        Ok(Some(text))
    }
}

impl<'de> Deserialize<'de> for ClientScript {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClientScriptVisitor)
    }
}

struct ClientScriptVisitor;

impl<'de> Visitor<'de> for ClientScriptVisitor {
    type Value = ClientScript;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a URL, or {{ file = \"/path\" }}",
            " URL 或 {{ file = \"/路径\" }}"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ClientScript, E> {
        Url::parse(text).map(ClientScript::Url).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ClientScript, A::Error> {
        let table = FileTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ClientScript::File(table.file))
    }
}

impl JsonSchema for ClientScript {
    fn schema_name() -> Cow<'static, str> {
        "ClientScript".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "string", "format": "uri" },
                {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": false,
                    "properties": { "file": { "type": "string" } },
                },
            ],
        })
    }
}
