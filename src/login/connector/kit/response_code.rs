//! Reads the code with which a browser returns from a source.

use super::super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use crate::login::fields::Fields;

/// The value of the first of these parameters that is there; `what` names it in errors. It is missing if the
/// person cancelled at the source.
pub(crate) fn response_code<'a>(
    fields: &'a Fields,
    names: &[&str],
    what: &str,
    bytes_max: usize,
) -> Result<&'a str, ConnectorError> {
    let one = |name: &str| {
        let repeated = |_| invalid_response("a parameter is repeated");
        fields.one(name).map_err(repeated)
    };
    one("state")?;
    let mut code = None;
    for name in names {
        let found = one(name)?;
        code = code.or(found);
    }
    let code = code.ok_or_else(|| ConnectorError::Refused {
        why: RefusalReason::Declined,
        source: SourceRefusal::fault(brought::CALLBACK, &format!("the response has no {what}")),
    })?;
    checked_code(code, what, bytes_max)
}

/// Refuses a code that cannot be one.
pub(crate) fn checked_code<'a>(
    code: &'a str,
    what: &str,
    bytes_max: usize,
) -> Result<&'a str, ConnectorError> {
    if code.is_empty() || code.len() > bytes_max || code.chars().any(char::is_control) {
        let why = format!("the {what} is empty, too long or malformed");
        return Err(invalid_response(&why));
    }
    Ok(code)
}

/// The error for a response that the source cannot have meant.
pub(crate) fn invalid_response(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(brought::CALLBACK, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["authCode", "code"];

    fn read(query: &str) -> Result<String, ConnectorError> {
        let fields = Fields::parse(query.as_bytes()).unwrap();
        response_code(&fields, &NAMES, "code", 512).map(str::to_owned)
    }

    #[test]
    fn the_first_parameter_that_is_there_counts() {
        let longest = "x".repeat(512);
        for (query, expected) in [
            ("authCode=a&state=s", "a"),
            ("code=b&state=s", "b"),
            ("authCode=a&code=b&state=s", "a"),
            ("appid=ww1&code=abc&state=x&lang=zh&lang=en", "abc"),
            (&format!("code={longest}"), &longest),
        ] {
            assert_eq!(read(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn a_response_without_a_code_means_that_the_person_declined() {
        for query in ["state=s", "error=access_denied&state=s", "auth_code=x"] {
            let Err(ConnectorError::Refused { why, source }) = read(query) else {
                panic!("{query}");
            };
            assert_eq!(why, RefusalReason::Declined);
            assert_eq!(source.message, "the response has no code");
        }
    }

    #[test]
    fn an_invalid_code_is_refused() {
        let long = format!("code={}", "x".repeat(513));
        for query in [
            "authCode=a&authCode=b",
            "code=a&code=b",
            "authCode=a&code=b&code=c",
            "code=a&state=s&state=t",
            "code=",
            "code=a%00",
            "code=a%0A",
            &long,
        ] {
            let error = read(query).unwrap_err();
            let is_invalid = matches!(error, ConnectorError::InvalidResponse(_));
            assert!(is_invalid, "{query}: {error:?}");
        }
    }
}
