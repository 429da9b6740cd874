//! `Fields`: the parameters of a query or a form.

use std::fmt;

use zeroize::Zeroize as _;

/// The most parameters that are accepted.
pub const FIELDS_MAX: usize = 64;

/// Parameter names and values in their original order. `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// A parameter is repeated that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a parameter is repeated")]
pub struct RepeatedParameter;

impl Fields {
    /// Parses `application/x-www-form-urlencoded` text; `None` if there are too many parameters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::parse_at_most(text, FIELDS_MAX)
    }

    /// The same with another limit than [`FIELDS_MAX`].
    pub fn parse_at_most(text: &[u8], fields_max: usize) -> Option<Self> {
        let mut fields = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if fields.len() == fields_max {
                return None;
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Some(Self(fields))
    }

    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The value of a parameter that must not be repeated; `None` if it is missing.
    pub fn one(&self, name: &str) -> Result<Option<&str>, RepeatedParameter> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (found, None) => Ok(found.map(|(_, value)| value.as_str())),
            (_, Some(_)) => Err(RepeatedParameter),
        }
    }

    /// All names and values in their original order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a parameter is present.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

/// Some values are passwords.
impl Drop for Fields {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_refused() {
        let fields = Fields::parse(b"code=a&state=b&code=c").unwrap();
        assert_eq!(fields.one("code"), Err(RepeatedParameter));
        assert_eq!(fields.one("state"), Ok(Some("b")));
        assert_eq!(fields.one("nothing"), Ok(None));
    }

    #[test]
    fn too_many_parameters_are_refused() {
        assert!(Fields::parse("a=1&".repeat(FIELDS_MAX).as_bytes()).is_some());
        assert!(Fields::parse("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_none());
    }

    #[test]
    fn debug_output_hides_the_values() {
        let fields = Fields::parse(b"code=hunter2").unwrap();
        assert!(!format!("{fields:?}").contains("hunter2"));
    }
}
