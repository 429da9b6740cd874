//! The fields of a person that the directory lists, and how a source changes them.

use super::DirectoryFields;

/// Name, e-mail address and mobile number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PersonFields {
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
}

impl PersonFields {
    /// The names of the fields that differ.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("name", &self.name, &other.name),
            ("email", &self.email, &other.email),
            ("mobile", &self.mobile, &other.mobile),
        ];
        let differing = fields.into_iter().filter(|(_, own, other)| own != other);
        differing.map(|(name, _, _)| name).collect()
    }

    /// These fields after a source told others. If the identity names the account, they replace the known
    /// ones; otherwise they only fill missing ones. A field that the source does not tell stays.
    pub(super) fn merged(&self, told: &DirectoryFields, replace: bool) -> Self {
        let choose = |known: &Option<String>, told: &Option<String>| {
            let (first, second) = if replace {
                (told, known)
            } else {
                (known, told)
            };
            first.clone().or_else(|| second.clone())
        };
        Self {
            name: choose(&self.name, &told.name),
            email: choose(&self.email, &told.email),
            mobile: choose(&self.mobile, &told.mobile),
        }
    }
}
