//! `Form`: reads the fields of a request by their names and types, and collects all problems.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::nearest::nearest;
use super::problem::FieldError;

/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// The longest key or certificate in PEM, in bytes.
const PEM_BYTES_MAX: usize = 64 << 10;
/// The longest name of an unknown field that asks for nothing, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The most unknown fields that ask for nothing.
const UNKNOWN_MAX: usize = 64;
/// The member with everything beyond the fields of HENGSHI.
pub(super) const MENSHEN: &str = "menshen";

/// A secret of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretField {
    /// It stays as it is: the field is absent.
    Absent,
    /// It stays as it is: the field is a marker.
    Marker,
    Removed,
    New(String),
}

/// The fields of a request.
pub(super) struct Form<'a> {
    body: &'a Map<String, Value>,
    /// The names that were asked for, each with the name under which it is documented.
    known: BTreeMap<&'static str, &'static str>,
    pub(super) problems: Vec<FieldError>,
}

impl<'a> Form<'a> {
    pub(super) fn new(body: &'a Map<String, Value>) -> Self {
        Self {
            body,
            known: BTreeMap::from([(MENSHEN, MENSHEN)]),
            problems: Vec::new(),
        }
    }

    pub(super) fn refuse(&mut self, field: &str, zh: impl Into<String>, en: impl Into<String>) {
        self.problems.push(FieldError::new(field, zh, en));
    }

    /// The value of a field, unless it is absent or null.
    fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.entry(name).or_insert(name);
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// The name under which the field was sent. A field with two names may be sent once.
    pub(super) fn sent_as(&mut self, names: [&'static str; 2]) -> &'static str {
        let [name, other] = names;
        self.known.insert(name, name);
        self.known.insert(other, name);
        let asks = |name: &str| {
            let value = self.body.get(name);
            value.is_some_and(|value| !asks_for_nothing(value))
        };
        match (asks(name), asks(other)) {
            (true, true) => {
                let zh = format!("和 {name} 是同一个字段，只能写一个");
                let en = format!("this is the same field as {name}: send one of them");
                self.refuse(other, zh, en);
                name
            }
            (false, true) => other,
            _ if self.body.contains_key(other) && !self.body.contains_key(name) => other,
            _ => name,
        }
    }

    /// A text without control characters; `None` if it is absent or empty.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        let text = self.string(name, value)?;
        self.check_text(name, text)
            .then(|| text.to_owned())
            .filter(|text| !text.is_empty())
    }

    /// Whether a field has a text that is not empty, whatever it says.
    pub(super) fn text_of_any_length(&mut self, name: &'static str) -> bool {
        let value = self.value(name);
        value.is_some_and(|value| !asks_for_nothing(value))
    }

    /// The same, of a field that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Option<String> {
        let before = self.problems.len();
        let text = self.text(name);
        if text.is_none() && self.problems.len() == before {
            self.missing(name);
        }
        text
    }

    pub(super) fn missing(&mut self, name: &str) {
        self.refuse(name, "必填", "this field is required");
    }

    /// Texts of which one is meant; `None` if the field is absent or empty.
    pub(super) fn choice(
        &mut self,
        name: &'static str,
        allowed: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = allowed.iter().copied().find(|one| *one == text);
        if found.is_none() {
            let list = allowed.join("、");
            let zh = format!("不能是这个值，可以是：{list}");
            let en = format!(
                "this value is not allowed; allowed are {}",
                allowed.join(", ")
            );
            self.refuse(name, zh, en);
        }
        found
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                let zh = format!("应为 true 或 false，收到的是{}", type_zh(other));
                let en = format!("it must be true or false, not {}", type_en(other));
                self.refuse(name, zh, en);
                None
            }
        }
    }

    /// A whole number from 0 on, written as a number or as a text of digits; `None` if absent or empty.
    pub(super) fn number(&mut self, name: &'static str) -> Option<u64> {
        let number = match self.value(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            Value::String(text) if text == "test-agent-id" => {
                let zh = "`test-agent-id` 是手册里的示例值，请填写应用的 AgentId（一串数字）";
                let en = "`test-agent-id` is the sample of the manual: enter the AgentId of the \
                          application, which is a number";
                self.refuse(name, zh, en);
                return None;
            }
            _ => None,
        };
        if number.is_none() {
            let zh = "应为不小于 0 的整数（数字，或只含数字的文本）";
            let en = "it must be a whole number, not below 0: a number, or a text of digits";
            self.refuse(name, zh, en);
        }
        number
    }

    /// An absolute http or https URL without user, password and fragment; `None` if absent or empty.
    pub(super) fn url(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        let is_usable = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        if text.trim() == text && Url::parse(&text).is_ok_and(|url| is_usable(&url)) {
            return Some(text);
        }
        let zh = "应为以 http:// 或 https:// 开头的完整地址，不含用户名、密码和 #";
        let en =
            "it must be a whole URL with http:// or https://, without user, password and fragment";
        self.refuse(name, zh, en);
        None
    }

    pub(super) fn required_url(&mut self, name: &'static str) -> Option<String> {
        let before = self.problems.len();
        let url = self.url(name);
        if url.is_none() && self.problems.len() == before {
            self.missing(name);
        }
        url
    }

    /// A key or certificate in PEM; `None` if absent or empty.
    pub(super) fn pem(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        let text = self.string(name, value)?;
        (!text.is_empty() && self.check_pem(name, text)).then(|| text.to_owned())
    }

    /// A secret in one line.
    pub(super) fn secret(&mut self, name: &'static str) -> SecretField {
        self.secret_of(name, false)
    }

    /// A secret of which nothing is known but that it is a text.
    pub(super) fn secret_of_any_form(&mut self, name: &'static str) {
        if let Some(value) = self.value(name) {
            self.string(name, value);
        }
    }

    pub(super) fn secret_pem(&mut self, name: &'static str) -> SecretField {
        self.secret_of(name, true)
    }

    fn secret_of(&mut self, name: &'static str, is_pem: bool) -> SecretField {
        let Some(value) = self.value(name) else {
            return SecretField::Absent;
        };
        let Some(text) = self.string(name, value) else {
            return SecretField::Absent;
        };
        if text.is_empty() {
            return SecretField::Removed;
        }
        if is_marker(text) {
            return SecretField::Marker;
        }
        let is_usable = match is_pem {
            true => self.check_pem(name, text),
            false => self.check_text(name, text),
        };
        match is_usable {
            true => SecretField::New(text.to_owned()),
            false => SecretField::Absent,
        }
    }

    fn string(&mut self, name: &str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            let zh = format!("应为文本，收到的是{}", type_zh(value));
            let en = format!("it must be a text, not {}", type_en(value));
            self.refuse(name, zh, en);
        }
        text
    }

    fn check_text(&mut self, name: &str, text: &str) -> bool {
        if text.len() > TEXT_BYTES_MAX {
            let zh = format!("太长，最多 {TEXT_BYTES_MAX} 字节");
            let en = format!("it is too long: at most {TEXT_BYTES_MAX} bytes");
            self.refuse(name, zh, en);
            return false;
        }
        if text.chars().any(char::is_control) {
            self.refuse(name, "含有控制字符", "it has a control character");
            return false;
        }
        true
    }

    fn check_pem(&mut self, name: &str, text: &str) -> bool {
        if text.len() > PEM_BYTES_MAX {
            let zh = format!("太长，最多 {PEM_BYTES_MAX} 字节");
            let en = format!("it is too long: at most {PEM_BYTES_MAX} bytes");
            self.refuse(name, zh, en);
            return false;
        }
        let is_allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        let is_pem = text.contains("-----BEGIN ") && text.chars().all(is_allowed);
        let lines = text.lines().map(str::trim);
        let content: String = lines.filter(|line| !line.starts_with("-----")).collect();
        if content == "test" {
            let zh = "内容 `test` 是手册里的示例值，请填写真实的 PEM";
            let en = "the content `test` is the sample of the manual: enter a real PEM";
            self.refuse(name, zh, en);
            return false;
        }
        if !is_pem {
            let zh = "应为 PEM 文本，以 -----BEGIN 开头";
            let en = "it must be a text in PEM, which begins with -----BEGIN";
            self.refuse(name, zh, en);
        }
        is_pem
    }

    /// The member `menshen`.
    pub(super) fn menshen(&mut self) -> Map<String, Value> {
        match self.body.get(MENSHEN) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(rest)) => rest.clone(),
            Some(other) => {
                let zh = format!("应为对象，收到的是{}", type_zh(other));
                let en = format!("it must be an object, not {}", type_en(other));
                self.refuse(MENSHEN, zh, en);
                Map::new()
            }
        }
    }

    /// Refuses the fields that no name was asked for, unless they ask for nothing. Called last.
    pub(super) fn refuse_unknown(&mut self) {
        let is_known = |name: &&String| !self.known.contains_key(name.as_str());
        let unknown: Vec<_> = self.body.keys().filter(is_known).cloned().collect();
        if unknown.len() > UNKNOWN_MAX {
            let zh = format!("未知字段太多，最多 {UNKNOWN_MAX} 个");
            let en = format!("there are too many unknown fields: at most {UNKNOWN_MAX}");
            self.refuse(&shortened(&unknown[0]), zh, en);
        }
        for name in unknown {
            let is_short = name.chars().count() <= NAME_CHARS_MAX;
            if is_short && asks_for_nothing(&self.body[&name]) {
                continue;
            }
            let names = self.known.keys().copied();
            let (zh, en) = match nearest(&name, names) {
                Some(near) => (
                    format!("未知字段，是不是 {near}？"),
                    format!("this field is unknown: did you mean {near}?"),
                ),
                None => ("未知字段".to_owned(), "this field is unknown".to_owned()),
            };
            self.refuse(&shortened(&name), zh, en);
        }
    }

    /// The documented name of a field.
    pub(super) fn documented_name(&self, name: &str) -> Option<&'static str> {
        self.known.get(name).copied()
    }
}

/// The beginning of the name of an unknown field.
fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// Whether a value asks for nothing, so that a field that is not known may have it.
pub(super) fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// Whether a text stands for a secret that is kept: only asterisks or bullets.
fn is_marker(text: &str) -> bool {
    let is_mark = |c: char| matches!(c, '*' | '•' | '●' | '∙' | '·' | '＊');
    !text.is_empty() && text.chars().all(is_mark)
}

fn type_zh(value: &Value) -> &'static str {
    match value {
        Value::Null => " null",
        Value::Bool(_) => "布尔值",
        Value::Number(_) => "数字",
        Value::String(_) => "文本",
        Value::Array(_) => "数组",
        Value::Object(_) => "对象",
    }
}

fn type_en(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
