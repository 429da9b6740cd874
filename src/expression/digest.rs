//! The functions that requests to a source need: digests in lower-case hexadecimal digits, Base64, and times.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cel::common::types::{CelInt, CelString, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};
use md5::{Digest as _, Md5};

use super::budget;
use super::function::{CallResult, Signature};
use super::moment::{Moment, moment_type};

pub(super) const FUNCTIONS: &[Signature] = &[
    ("base64", 1..=1),
    ("hmac_sha256", 2..=2),
    ("md5", 1..=1),
    ("sha1", 1..=1),
    ("sha256", 1..=1),
    ("unix", 1..=1),
    ("unix_ms", 1..=1),
];

/// Declares the functions in the environment.
pub(super) fn declare(env: &mut Env) -> Result<(), cel::DeclarationError> {
    let text = || vec![STRING_TYPE];
    env.add_overload("base64", "base64_text", text(), base64)?;
    env.add_overload("md5", "md5_text", text(), md5)?;
    env.add_overload("sha1", "sha1_text", text(), sha1)?;
    env.add_overload("sha256", "sha256_text", text(), sha256)?;
    let two_texts = vec![STRING_TYPE, STRING_TYPE];
    env.add_overload("hmac_sha256", "hmac_sha256_texts", two_texts, hmac_sha256)?;
    env.add_overload("unix", "unix_timestamp", vec![moment_type()], unix)?;
    env.add_overload("unix_ms", "unix_ms_timestamp", vec![moment_type()], unix_ms)
}

fn base64<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    compute("base64", &arguments, |[text]| STANDARD.encode(text))
}

fn md5<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    compute("md5", &arguments, |[text]| hex(&Md5::digest(text)))
}

fn sha1<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    compute("sha1", &arguments, |[text]| {
        hex(digest::digest(algorithm, text.as_bytes()).as_ref())
    })
}

fn sha256<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    compute("sha256", &arguments, |[text]| {
        hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    })
}

fn hmac_sha256<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    compute("hmac_sha256", &arguments, |[key, text]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        hex(hmac::sign(&key, text.as_bytes()).as_ref())
    })
}

fn unix<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let unix_ms = unix_ms_of("unix", &arguments)?;
    Ok(CowVal::owned(CelInt::from(unix_ms.div_euclid(1000))))
}

fn unix_ms<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let unix_ms = unix_ms_of("unix_ms", &arguments)?;
    Ok(CowVal::owned(CelInt::from(unix_ms)))
}

/// Computes a text from texts, and charges for their length.
fn compute<'b, 'v, const N: usize>(
    function: &str,
    arguments: &[CowVal<'b, 'v>],
    compute: impl FnOnce([&str; N]) -> String,
) -> CallResult<'b, 'v> {
    let failed = |why| ExecutionError::function_error(function, why);
    let mut texts = [""; N];
    if arguments.len() != N {
        return Err(failed("another number of arguments"));
    }
    for (text, argument) in texts.iter_mut().zip(arguments) {
        let argument = argument.downcast_ref::<CelString>();
        *text = argument.ok_or_else(|| failed("not a text"))?.inner();
        if !budget::charge_match(text) {
            return Err(failed("too much work"));
        }
    }
    Ok(CowVal::owned(CelString::from(compute(texts))))
}

fn unix_ms_of(function: &str, arguments: &[CowVal<'_, '_>]) -> Result<i64, ExecutionError> {
    let moment = match arguments {
        [moment] => moment.downcast_ref::<Moment>(),
        _ => None,
    };
    let failed = || ExecutionError::function_error(function, "not a timestamp");
    moment.map(|moment| moment.unix_ms).ok_or_else(failed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
