//! `WriteEvidence`: whether the result of an operation shows that the store can be written to.

use crate::secret::Secret;
use crate::store::{
    AccessTokenOutcome, AdmissionOutcome, EditOutcome, EndedLogins, ExpectOutcome, ImportOutcome,
    LocalPeopleOutcome, MintOutcome, Reopening, Revocation, SubjectRenameOutcome,
    TokenUpdateOutcome,
};

/// Whether the result of an operation shows that rows were written. A transaction that changes nothing
/// succeeds on a full disk, too, so it says nothing about the next write.
pub(super) trait WriteEvidence {
    fn shows_a_write(&self) -> bool;
}

macro_rules! write_evidence {
    ($($result:ty: |$it:ident| $shown:expr;)*) => {$(
        impl WriteEvidence for $result {
            fn shows_a_write(&self) -> bool {
                let $it = self;
                $shown
            }
        }
    )*};
}

write_evidence! {
    AdmissionOutcome: |it| matches!(it, Self::Account(_));
    Option<AdmissionOutcome>: |it| it.as_ref().is_some_and(WriteEvidence::shows_a_write);
    Vec<AdmissionOutcome>: |it| it.iter().any(WriteEvidence::shows_a_write);
    MintOutcome: |it| *it == Self::Session;
    AccessTokenOutcome: |it| *it == Self::Created;
    TokenUpdateOutcome: |it| matches!(it, Self::Stored { .. });
    Revocation: |_it| true;
    Option<Revocation>: |it| it.is_some();
    Option<Reopening>: |it| it.is_some();
    SubjectRenameOutcome: |it| matches!(it, Self::Renamed { .. });
    ImportOutcome: |it| matches!(it, Self::Imported(counts) if counts.created + counts.updated > 0);
    LocalPeopleOutcome: |it| matches!(it, Self::Written(_));
    EndedLogins: |it| !it.entries.is_empty();
    EditOutcome: |it| matches!(it, Self::Stored { log_position: Some(_) });
    // The account may have the identity already.
    ExpectOutcome: |_it| false;
    // Without entries, a logout may have ended nothing and left no mark.
    Option<Vec<Revocation>>: |it| it.as_ref().is_some_and(|entries| !entries.is_empty());
    Vec<Revocation>: |it| !it.is_empty();
    bool: |it| *it;
    u64: |it| *it > 0;
    // An update of sessions that are gone changes no row.
    (): |_it| false;
    // The key ring is written only once.
    Vec<Secret<String>>: |_it| false;
}
