//! Reads the error message of a source, which may quote the request.

use super::super::SourceRefusal;

/// The shortest value that is redacted, in bytes. Shorter values are not secrets and may be common words.
const REDACTED_BYTES_MIN: usize = 6;

/// The error of a source: its message without control characters and without the `redacted` values of the
/// request, at most `chars_max` characters long.
pub(crate) fn refusal(
    call: &'static str,
    code: i64,
    message: &str,
    redacted: &[&str],
    chars_max: usize,
) -> SourceRefusal {
    let mut message = message.to_owned();
    let secrets = redacted.iter();
    for secret in secrets.filter(|secret| secret.len() >= REDACTED_BYTES_MIN) {
        message = message.replace(secret, "…");
    }
    let message = message.chars().filter(|c| !c.is_control());
    SourceRefusal {
        call,
        code,
        message: message.take(chars_max).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_secret_and_a_limited_length() {
        let short = refusal("x", 1, "bad hunter2\r\n or no", &["hunter2", "", "no"], 300);
        assert_eq!(short.message, "bad … or no");
        let long = refusal("x", 1, &"企".repeat(999), &[], 300).message;
        assert_eq!(long.chars().count(), 300);
    }
}
