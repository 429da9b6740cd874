//! `jwt-param`: a portal that signs tokens.

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NameError, StrDeserializer};
use serde_json::Value;

use super::super::every_kind::{self, Fields};
use super::super::form::{Form, SecretField};
use super::super::mapping::Shape;
use super::super::table::{Draft, MARKER, Rest};
use super::Before;
use crate::login::connector::jwt::{
    ContentAlgorithm, KeyAlgorithm, KeyEncoding, TokenAlgorithm, decrypting_key_problem,
    encryption_key_fits, signing_key_fits, verifying_key_problem,
};
use crate::secret::Secret;

const ALGORITHM: (&str, &str) = ("checkSignAlgorithm", "jwt.algorithm");
const KEY: (&str, &str) = ("checkSignKey", "jwt.key");
const ENCODING: (&str, &str) = ("checkSignKeyBase64Encoded", "jwt.key_encoding");
const PARAMETER: (&str, &str) = ("tokenName", "jwt.parameter");
const DECRYPT_ALGORITHM: (&str, &str) = ("decryptAlgorithm", "jwt.decrypt.algorithm");
const DECRYPT_METHOD: (&str, &str) = ("decryptMethod", "jwt.decrypt.method");
const DECRYPT_KEY: (&str, &str) = ("decryptKey", "jwt.decrypt.key");
const SUBJECT: &str = "jwt.subject";
const MAPPED_LOGIN: &str = "mapping.login";

/// The names under which HENGSHI knows its script.
const SCRIPTS: [&str; 3] = ["groovyScript", "script", "groovy script"];

const ALGORITHMS: [&str; 12] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA",
];
const KEY_ALGORITHMS: [&str; 9] = [
    "dir",
    "A128KW",
    "A256KW",
    "A128GCMKW",
    "A256GCMKW",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A256KW",
];
const METHODS: [&str; 4] = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let (field, path) = PARAMETER;
    let parameter = form.text(field);
    draft.say_if(field, path, parameter);
    let algorithm = read_algorithm(form);
    let (field, path) = ALGORITHM;
    draft.say_if(field, path, algorithm);
    read_key(form, draft, before, algorithm);
    read_decryption(form, draft, before);
    for script in SCRIPTS {
        if form.text_of_any_length(script) {
            let zh = "不支持 Groovy 脚本：请用 menshen.mapping 中的 CEL 表达式代替，例如 \
                      {\"login\": \"profile.sub\"}";
            let en = "scripts in Groovy are not supported: write expressions in CEL in \
                      menshen.mapping, such as {\"login\": \"profile.sub\"}";
            form.refuse(script, zh, en);
        }
    }
    if let Some(login) = every_kind::read_login(form, draft, Shape::Plain) {
        draft.imply(SUBJECT, subject(&login));
    }
    every_kind::read(form, draft, Shape::Plain);
}

/// The algorithm of signatures.
pub(in crate::face::admin::hengshi) fn read_algorithm(form: &mut Form<'_>) -> Option<&'static str> {
    let (field, _) = ALGORITHM;
    let problems = form.problems.len();
    let algorithm = form.choice(field, &ALGORITHMS);
    if algorithm.is_none() && form.problems.len() == problems {
        form.missing(field);
    }
    algorithm
}

pub(in crate::face::admin::hengshi) fn is_shared(algorithm: &str) -> bool {
    algorithm.starts_with("HS")
}

/// The number of bytes that a shared secret needs at least: the length of the hash (RFC 7518 §3.2).
pub(in crate::face::admin::hengshi) fn secret_bytes(algorithm: &str) -> usize {
    match algorithm {
        "HS384" => 48,
        "HS512" => 64,
        _ => 32,
    }
}

/// Reads the key that verifies, and compares it with the one that signs. Without an algorithm its form is
/// not known.
fn read_key(
    form: &mut Form<'_>,
    draft: &mut Draft,
    before: Before<'_>,
    algorithm: Option<&'static str>,
) {
    let (field, path) = ENCODING;
    let encoded = form.flag(field).unwrap_or(false);
    if encoded {
        draft.say(field, path, "base64");
    }
    let encoding = match encoded {
        true => KeyEncoding::Base64,
        false => KeyEncoding::Text,
    };
    let (field, path) = KEY;
    let Some(algorithm) = algorithm else {
        form.secret_of_any_form(field);
        form.secret_of_any_form("signKey");
        return;
    };
    let shared = is_shared(algorithm);
    let problems = form.problems.len();
    let mut key = match shared {
        true => form.secret(field),
        false => form.secret_pem(field),
    };
    let kept = before
        .table
        .and_then(|table| super::find(table, ALGORITHM.1));
    let kept_is_shared = kept.and_then(Value::as_str).is_some_and(is_shared);
    // A public key is no secret, so an absent one is not kept; nor is the key of another algorithm.
    let keeps = before.keeps(path) && shared && kept_is_shared;
    if key == SecretField::Absent && !keeps && before.keeps(path) {
        key = SecretField::Removed;
    }
    let is_missing = match key {
        SecretField::New(_) => false,
        SecretField::Removed => true,
        SecretField::Marker | SecretField::Absent => !keeps,
    };
    let has_jwks = before.in_menshen("jwt.jwks_url").is_some();
    if is_missing && !has_jwks && form.problems.len() == problems {
        form.missing(field);
    }
    let partner = partner(form, "signKey", shared);
    if let (SecretField::New(text), Some(named)) = (&key, named::<TokenAlgorithm>(algorithm)) {
        let text = Secret::new(text.clone());
        if let Some(problem) = verifying_key_problem(named, &text, encoding) {
            refuse_key(form, algorithm, &text, &problem);
        } else if partner.is_some_and(|key| !signing_key_fits(named, &key, &text, encoding)) {
            let zh = "和 checkSignKey 不是一对";
            form.refuse("signKey", zh, "it does not belong to checkSignKey");
        }
    }
    draft.say_secret(field, path, key);
}

/// Refuses a key that verifies nothing. The sample of the manual is too short.
fn refuse_key(form: &mut Form<'_>, algorithm: &str, key: &Secret<String>, problem: &str) {
    let (bytes, needed) = (key.expose().len(), secret_bytes(algorithm));
    let (zh, en) = match is_shared(algorithm) && bytes < needed {
        true => (
            format!(
                "密钥只有 {bytes} 字节，{algorithm} 至少需要 {needed} 字节（手册里的示例密钥太短）；可以用 \
                 jwt-param/generate-key 生成"
            ),
            format!(
                "the key has {bytes} bytes, and {algorithm} needs at least {needed} (the sample of the \
                 manual is too short): jwt-param/generate-key makes one"
            ),
        ),
        false => (
            format!("不能用作 {algorithm} 的密钥：{problem}"),
            format!("this is no key for {algorithm}: {problem}"),
        ),
    };
    form.refuse(KEY.0, zh, en);
}

/// Reads the decryption, and compares its key with the one that encrypts.
fn read_decryption(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let algorithm = form.choice(DECRYPT_ALGORITHM.0, &KEY_ALGORITHMS);
    let method = form.choice(DECRYPT_METHOD.0, &METHODS);
    let symmetric =
        algorithm.is_some_and(|name| !name.starts_with("RSA") && !name.starts_with("ECDH"));
    let key = match symmetric {
        true => form.secret(DECRYPT_KEY.0),
        false => form.secret_pem(DECRYPT_KEY.0),
    };
    let partner = partner(form, "encryptKey", symmetric);
    let is_new = matches!(key, SecretField::New(_));
    if algorithm.is_none() && method.is_none() && !is_new {
        return;
    }
    for ((field, _), is_there) in [
        (DECRYPT_ALGORITHM, algorithm.is_some()),
        (DECRYPT_METHOD, method.is_some()),
    ] {
        let is_refused = form.problems.iter().any(|problem| problem.field == field);
        if !is_there && !is_refused {
            form.missing(field);
        }
    }
    let (field, path) = DECRYPT_KEY;
    let is_missing = match key {
        SecretField::New(_) | SecretField::Marker => false,
        SecretField::Removed => true,
        SecretField::Absent => !before.keeps(path),
    };
    let is_refused = form.problems.iter().any(|problem| problem.field == field);
    if is_missing && !is_refused {
        form.missing(field);
    }
    let names = (
        algorithm.and_then(named::<KeyAlgorithm>),
        method.and_then(named::<ContentAlgorithm>),
    );
    if let (SecretField::New(text), (Some(algorithm), Some(method))) = (&key, names) {
        let (text, encoding) = (Secret::new(text.clone()), decrypt_encoding(before));
        if let Some(problem) = decrypting_key_problem(algorithm, method, &text, encoding) {
            let zh = format!("不能用作解密的密钥：{problem}");
            form.refuse(field, zh, format!("this key cannot decrypt: {problem}"));
        } else if partner.is_some_and(|it| !encryption_key_fits(algorithm, &it, &text, encoding)) {
            let zh = "和 decryptKey 不是一对";
            form.refuse("encryptKey", zh, "it does not belong to decryptKey");
        }
    }
    draft.say_if(DECRYPT_ALGORITHM.0, DECRYPT_ALGORITHM.1, algorithm);
    draft.say_if(DECRYPT_METHOD.0, DECRYPT_METHOD.1, method);
    draft.say_secret(field, path, key);
}

/// A key of the portal, which is compared and not kept.
fn partner(form: &mut Form<'_>, field: &'static str, shared: bool) -> Option<Secret<String>> {
    let key = match shared {
        true => form.secret(field),
        false => form.secret_pem(field),
    };
    match key {
        SecretField::New(text) => Some(Secret::new(text)),
        _ => None,
    }
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if(PARAMETER.0, rest.take_text(PARAMETER.1));
    let algorithm = rest.take_text(ALGORITHM.1);
    let shared = algorithm.as_deref().is_some_and(is_shared);
    fields.put_if(ALGORITHM.0, algorithm);
    match rest.text(KEY.1) {
        // A public key is shown.
        Some(text) if !shared && text != MARKER => {
            fields.put_if(KEY.0, rest.take_text(KEY.1));
        }
        Some(_) => fields.put_secret(KEY.0, rest, KEY.1),
        // A list of keys has no field.
        None if rest.find(KEY.1).is_some() => fields.put(KEY.0, MARKER),
        None => fields.put(KEY.0, ""),
    }
    if rest.take_if(ENCODING.1, &Value::from("base64")) {
        fields.put(ENCODING.0, true);
    }
    rest.take_if(ENCODING.1, &Value::from("text"));
    for (field, path) in [DECRYPT_ALGORITHM, DECRYPT_METHOD] {
        fields.put_if(field, rest.take_text(path));
    }
    fields.put_secret(DECRYPT_KEY.0, rest, DECRYPT_KEY.1);
    if let Some(login) = rest.text(MAPPED_LOGIN) {
        let implied = Value::from(subject(login));
        rest.take_if(SUBJECT, &implied);
    }
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}

/// The identifier of a person: `sub` of the token, else the login.
fn subject(login: &str) -> String {
    format!("has(profile.sub) && profile.sub != '' ? profile.sub : {login}")
}

/// How `menshen` says that the key that decrypts is written.
fn decrypt_encoding(before: Before<'_>) -> KeyEncoding {
    match before.in_menshen("jwt.decrypt.key_encoding") {
        Some(Value::String(text)) if text == "base64" => KeyEncoding::Base64,
        _ => KeyEncoding::Text,
    }
}

/// The algorithm with this name.
fn named<T: for<'de> Deserialize<'de>>(name: &str) -> Option<T> {
    let name: StrDeserializer<'_, NameError> = name.into_deserializer();
    T::deserialize(name).ok()
}
