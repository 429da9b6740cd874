//! The fields of local people, with their limits.

use serde_json::{Map, Value};

use crate::people::profile::is_fixed_field;
use crate::store::LocalPerson;
use crate::text;
use crate::wording::Text;

/// The fields that are one text.
pub const TEXT_FIELDS: [&str; 6] = [
    "name",
    "email",
    "mobile",
    "tenant_code",
    "tenant_name",
    "platform",
];

/// The fields that are lists of texts.
pub const LIST_FIELDS: [&str; 5] = ["groups", "roles", "departments", "orgs", "tags"];

/// The keys of a person that are no fields.
const OTHER_KEYS: [&str; 4] = ["password", "password_hash", "disabled", "must_change"];

/// The longest text, in characters.
const TEXT_CHARS_MAX: usize = 256;

/// The longest list.
const LIST_MAX: usize = 200;

/// How deeply the value of an attribute may be nested.
const NESTED_MAX: usize = 8;

/// All fields of a person together, as JSON, in bytes.
const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// The fields of a stored person. Fields that cannot be read count as absent.
pub fn of(person: &LocalPerson) -> Map<String, Value> {
    serde_json::from_str(&person.fields).unwrap_or_default()
}

/// Whether a field has this name and is none of the predefined ones.
pub fn is_attribute(name: &str) -> bool {
    !is_fixed_field(name) && !OTHER_KEYS.contains(&name)
}

/// The value of a field as it is stored; `None` if it is empty, which removes the field.
///
/// # Errors
/// Says what is wrong. The value is not part of the text.
pub(super) fn checked(name: &str, value: &Value) -> Result<Option<Value>, Text> {
    if value.is_null() {
        return Ok(None);
    }
    if TEXT_FIELDS.contains(&name) {
        let text = value.as_str();
        let text = text.ok_or_else(|| text!("{name} must be a text", "{name} 应为文本"))?;
        let text = checked_text(name, text)?;
        return Ok((!text.is_empty()).then(|| Value::from(text)));
    }
    if LIST_FIELDS.contains(&name) {
        return checked_list(name, value);
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_short = !name.is_empty() && name.len() <= 64;
    if !is_attribute(name) || !is_short || !name.bytes().all(is_allowed) {
        return Err(text!(
            "there is no field {name}, and an attribute is named by letters, digits and _, at most 64",
            "没有字段 {name}；属性名由字母、数字和 _ 组成，最多 64 个字符"
        ));
    }
    match is_nested_too_deeply(value, NESTED_MAX) {
        true => Err(text!(
            "the attribute {name} is nested too deeply",
            "属性 {name} 嵌套太深"
        )),
        false => Ok(Some(value.clone())),
    }
}

fn checked_text(name: &str, text: &str) -> Result<String, Text> {
    let text = text.trim();
    if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(text!(
            "{name} is longer than {TEXT_CHARS_MAX} characters or has control characters",
            "{name} 超过 {TEXT_CHARS_MAX} 个字符，或含有控制字符"
        ));
    }
    Ok(text.to_owned())
}

fn checked_list(name: &str, value: &Value) -> Result<Option<Value>, Text> {
    let wrong = || {
        text!(
            "{name} must be a list of texts, at most {LIST_MAX}",
            "{name} 应为文本列表，最多 {LIST_MAX} 项"
        )
    };
    let items = value.as_array().ok_or_else(wrong)?;
    if items.len() > LIST_MAX {
        return Err(wrong());
    }
    let mut texts: Vec<Value> = Vec::new();
    for item in items {
        let text = checked_text(name, item.as_str().ok_or_else(wrong)?)?;
        let text = Value::from(text);
        if text != "" && !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok((!texts.is_empty()).then_some(Value::Array(texts)))
}

fn is_nested_too_deeply(value: &Value, nested_max: usize) -> bool {
    let Some(deeper) = nested_max.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_nested_too_deeply(item, deeper)),
        Value::Object(members) => members
            .values()
            .any(|member| is_nested_too_deeply(member, deeper)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The fields as JSON.
pub(super) fn text_of(fields: Map<String, Value>) -> Result<String, Text> {
    let text = Value::Object(fields).to_string();
    // PostgreSQL has no text with NUL.
    let has_nul = text.contains("\\u0000");
    match text.len() > FIELDS_BYTES_MAX || has_nul {
        true => Err(text!(
            "the fields have more than {FIELDS_BYTES_MAX} bytes, or the character NUL",
            "字段合计超过 {FIELDS_BYTES_MAX} 字节，或含有 NUL 字符"
        )),
        false => Ok(text),
    }
}
