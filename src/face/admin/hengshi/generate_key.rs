//! `PUT jwt-param/generate-key`: a fresh key, which is neither kept nor in force.

use serde_json::{Map, Value, json};

use super::envelope::Success;
use super::form::Form;
use super::kinds;
use super::refusal::Refusal;
use crate::keys::{self, TokenKey};

/// The algorithm, if neither the request nor a connector names one.
const DEFAULT_ALGORITHM: &str = "HS256";

/// The longest hash of an HMAC, in bytes.
const HASH_BYTES_MAX: usize = 64;

/// Makes a key for the algorithm of the request. `kept` are the fields of the connector that there is.
pub(super) fn generate(
    body: &Map<String, Value>,
    kept: Option<&Map<String, Value>>,
) -> Result<Success, Refusal> {
    let kept_value = |name: &str| kept.and_then(|kept| kept.get(name));
    let mut body = body.clone();
    for name in ["checkSignAlgorithm", "enableSyncUserAttr"] {
        let is_absent = body.get(name).is_none_or(Value::is_null);
        if let Some(value) = kept_value(name).filter(|_| is_absent) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    if body.get("checkSignAlgorithm").is_none_or(Value::is_null) {
        body.insert("checkSignAlgorithm".to_owned(), DEFAULT_ALGORITHM.into());
    }
    let mut form = Form::new(&body);
    let algorithm = kinds::read_algorithm(&mut form);
    let sync = form.flag("enableSyncUserAttr").unwrap_or(true);
    let (Some(algorithm), true) = (algorithm, form.problems.is_empty()) else {
        return Err(Refusal::Fields(form.problems));
    };
    let (check, sign) = match kinds::is_shared(algorithm) {
        true => {
            let secret = hexadecimal(kinds::secret_bytes(algorithm));
            (secret.clone(), secret)
        }
        false => match TokenKey::generate(algorithm) {
            Some(TokenKey::Pair { private, public }) => (public, private.expose().clone()),
            Some(TokenKey::Secret(_)) | None => return Err(Refusal::NotFound),
        },
    };
    Ok(Success::of(json!({
        "checkSignAlgorithm": algorithm,
        "checkSignKey": check,
        "checkSignKeyBase64Encoded": false,
        "signKey": sign,
        "enableSyncUserAttr": sync,
    })))
}

/// Random bytes as hexadecimal text; `bytes` is at most [`HASH_BYTES_MAX`].
fn hexadecimal(bytes: usize) -> String {
    let random = keys::random::<HASH_BYTES_MAX>();
    let random = random.iter().take(bytes);
    random.map(|byte| format!("{byte:02x}")).collect()
}
