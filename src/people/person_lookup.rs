//! `PersonLookup`: asks a provider about a person who is not logging in.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use crate::store::{LinkField, Subject};
use crate::wording::{Text, error_of_text};

/// Asks a provider about a person who is not logging in. Connectors whose provider can be asked implement
/// it.
#[async_trait]
pub trait PersonLookup: fmt::Debug + Send + Sync {
    /// What the provider says about a person now.
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError>;

    /// Discards cached names of departments, because the provider reports that they changed.
    fn discard_departments(&self);
}

/// What a provider says about a person.
#[derive(Clone, Debug)]
pub enum PersonStatus {
    /// The person may sign in.
    Active(CurrentProfile),
    /// The provider knows the person as disabled, not activated or gone.
    Inactive(String),
    /// The provider does not know the person, or no longer.
    Unknown(String),
    /// The provider does not show the person to this site.
    OutOfRange(String),
}

/// The current profile of a person.
#[derive(Clone)]
pub struct CurrentProfile {
    /// The raw profile, as at a login.
    pub raw: Value,
    /// Fields that the source verified, and that the person cannot edit.
    pub verified_fields: Vec<(LinkField, String)>,
    /// Whether it has all fields that a login has. Some need the person's consent at each login.
    pub is_complete: bool,
    /// Whether the provider said which tags the person has. Otherwise the former ones stay.
    pub has_tags: bool,
}

impl fmt::Debug for CurrentProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentProfile")
            .field("is_complete", &self.is_complete)
            .field("has_tags", &self.has_tags)
            .finish_non_exhaustive()
    }
}

/// Why a provider could not be asked about a person.
#[derive(Debug)]
pub enum LookupError {
    /// The subject was given by another organisation, which these settings no longer name.
    OtherOrganisation,
    /// The provider is unreachable, busy, or refuses the site. Nothing is known about the person.
    Unavailable(Box<dyn Error + Send + Sync>),
}

impl LookupError {
    fn text(&self) -> Text {
        match self {
            Self::OtherOrganisation => Text::fixed(
                "the person belongs to another organisation than this connector",
                "此人属于另一个组织，不属于此认证源",
            ),
            Self::Unavailable(_) => Text::fixed(
                "the source could not be asked about a person",
                "无法向认证源查询此人",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(source) => Some(&**source),
            Self::OtherOrganisation => None,
        }
    }
}

error_of_text!(LookupError, caused);
