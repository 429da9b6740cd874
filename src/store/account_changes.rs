//! The history of an account: what changed, when, and who changed it.

use crate::clock::Timestamp;

/// One entry of an account's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Grows with each entry of the store.
    pub number: i64,
    pub at: Timestamp,
    /// An administrator, or the part of menshen that made the change.
    pub by: String,
    pub kind: AccountChangeKind,
    /// The reason or the new value, for people to read.
    pub detail: String,
}

macro_rules! kinds {
    ($($kind:ident = $text:literal;)*) => {
        /// What changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AccountChangeKind {
            $($kind,)*
        }

        impl AccountChangeKind {
            /// The value in the store and in the admin API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)*
                }
            }

            /// The kind with this value.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    Created = "created";
    Linked = "linked";
    IdentityExpected = "identity-expected";
    LoginChanged = "login-changed";
    FieldsChanged = "fields-changed";
    Closed = "closed";
    Reopened = "reopened";
    SubjectRenamed = "subject-renamed";
    IdentityRemoved = "identity-removed";
    Vouched = "vouched";
}
