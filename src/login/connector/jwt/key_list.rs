//! `KeyList`: one key, or a list of keys.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::secret::SecretSource;
use crate::setting::KeyPath;
use crate::text;

/// One key, or a list of keys of which each verifies, so that the portal can change its key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyList {
    One(SecretSource),
    Several(Vec<SecretSource>),
}

impl KeyList {
    pub(super) fn sources(&self) -> &[SecretSource] {
        match self {
            Self::One(source) => std::slice::from_ref(source),
            Self::Several(sources) => sources,
        }
    }

    /// The keys with their paths, below the path of the list.
    pub(super) fn with_paths<'a>(
        &'a self,
        key_path: KeyPath<'a>,
    ) -> impl Iterator<Item = (KeyPath<'a>, &'a SecretSource)> {
        let sources = self.sources().iter().enumerate();
        sources.map(move |(index, source)| match self {
            Self::One(_) => (key_path.clone(), source),
            Self::Several(_) => (key_path.clone().item(index), source),
        })
    }
}

impl<'de> Deserialize<'de> for KeyList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyListVisitor)
    }
}

struct KeyListVisitor;

impl<'de> Visitor<'de> for KeyListVisitor {
    type Value = KeyList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = text!(
            "a key, or a list of keys: {{ file = \"/path\" }}, {{ env = \"NAME\" }} or a string",
            "密钥或密钥列表：{{ file = \"/路径\" }}、{{ env = \"变量名\" }} 或文本"
        );
        fmt::Display::fmt(&expected, f)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeyList, E> {
        SecretSource::deserialize(StrDeserializer::new(text)).map(KeyList::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyList, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map)).map(KeyList::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeyList, A::Error> {
        let mut sources = Vec::new();
        while let Some(source) = list.next_element()? {
            sources.push(source);
        }
        Ok(KeyList::Several(sources))
    }
}

impl JsonSchema for KeyList {
    fn schema_name() -> Cow<'static, str> {
        "KeyList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let key = generator.subschema_for::<SecretSource>();
        json_schema!({ "oneOf": [key, { "type": "array", "items": key, "minItems": 1 }] })
    }
}
