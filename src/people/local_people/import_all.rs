//! Imports people: all of them, or none.

use super::{ATTEMPTS_MAX, LocalPeople, LocalPeopleError, LocalPersonChange, created, subject_of};
use crate::store::{EndedLogins, LocalPerson, LocalPersonWrite, LoginName, Subject};
use crate::wording::{Text, error_of_text};

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportedPeople {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub ended: EndedLogins,
    /// What changed of each person who is not unchanged.
    pub people: Vec<ImportedPerson>,
}

/// What an import changed of one person.
#[derive(Clone, Debug)]
pub struct ImportedPerson {
    pub subject: Subject,
    pub login: LoginName,
    pub change: ImportedChange,
}

/// What an import changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportedChange {
    Added,
    /// The password, and whether anything else.
    Password {
        and_more: bool,
    },
    /// Anything but the password.
    Fields,
}

/// Why nobody was imported.
#[derive(Debug)]
pub enum LocalImportError {
    /// These people cannot be imported, with their positions in the import.
    People(Vec<(usize, LocalPeopleError)>),
    Other(LocalPeopleError),
}

impl LocalImportError {
    fn text(&self) -> Text {
        match self {
            Self::People(_) => Text::fixed("some people cannot be imported", "有人员无法导入"),
            Self::Other(error) => Text::of(error),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Other(error) => std::error::Error::source(error),
            Self::People(_) => None,
        }
    }
}

error_of_text!(LocalImportError, caused);

impl LocalPeople {
    /// Creates people, and changes those whose login exists: all or none.
    ///
    /// # Errors
    /// Nobody is imported.
    pub async fn import(
        &self,
        people: &[(LoginName, LocalPersonChange)],
    ) -> Result<ImportedPeople, LocalImportError> {
        for _ in 0..ATTEMPTS_MAX {
            let (writes, mut imported) = self.planned(people).await?;
            match self.write(&writes).await.map_err(LocalImportError::Other)? {
                Some(ended) => {
                    imported.ended = ended;
                    return Ok(imported);
                }
                None => continue,
            }
        }
        Err(LocalImportError::Other(LocalPeopleError::Contended))
    }

    /// What an import has to write now.
    async fn planned(
        &self,
        people: &[(LoginName, LocalPersonChange)],
    ) -> Result<(Vec<LocalPersonWrite>, ImportedPeople), LocalImportError> {
        let (now, mut problems) = (self.clock.now(), Vec::new());
        let (mut writes, mut imported) = (Vec::new(), ImportedPeople::default());
        for (index, (login, change)) in people.iter().enumerate() {
            let known = match subject_of(login.as_str()) {
                Ok(subject) => self.find(&subject).await.map_err(LocalPeopleError::Store),
                Err(error) => Err(LocalPeopleError::Login(error)),
            };
            let planned = known.and_then(|known| match known {
                Some(known) => {
                    let changed = change.apply_to(&known, now)?;
                    Ok(changed.map(|changed| {
                        let kind = kind_of(&known, &changed.person);
                        (kind, self.changed(&known, changed))
                    }))
                }
                None => {
                    let new = created(change.new_person(login, now)?);
                    Ok(Some((ImportedChange::Added, new)))
                }
            });
            match planned {
                Ok(None) => imported.unchanged += 1,
                Ok(Some((change, write))) => {
                    match change {
                        ImportedChange::Added => imported.created += 1,
                        ImportedChange::Password { .. } | ImportedChange::Fields => {
                            imported.updated += 1;
                        }
                    }
                    imported.people.push(ImportedPerson {
                        subject: write.subject.clone(),
                        login: login.clone(),
                        change,
                    });
                    writes.push(write);
                }
                Err(error @ LocalPeopleError::Store(_)) => {
                    return Err(LocalImportError::Other(error));
                }
                Err(error) => problems.push((index, error)),
            }
        }
        match problems.is_empty() {
            true => Ok((writes, imported)),
            false => Err(LocalImportError::People(problems)),
        }
    }
}

/// What differs between a person and their new state.
fn kind_of(old: &LocalPerson, new: &LocalPerson) -> ImportedChange {
    let and_more = new.login != old.login
        || new.fields != old.fields
        || new.disabled != old.disabled
        || new.must_change != old.must_change;
    match new.credential == old.credential {
        true => ImportedChange::Fields,
        false => ImportedChange::Password { and_more },
    }
}
