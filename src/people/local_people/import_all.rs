//! Imports people: all of them, or none.

use super::{ATTEMPTS_MAX, LocalPeople, LocalPeopleError, LocalPersonChange, created, subject_of};
use crate::store::{EndedLogins, LocalPersonWrite, LoginName};

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportedPeople {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub ended: EndedLogins,
}

/// Why nobody was imported.
#[derive(Debug, thiserror::Error)]
pub enum LocalImportError {
    /// These people cannot be imported, with their positions in the import.
    #[error("some people cannot be imported")]
    People(Vec<(usize, LocalPeopleError)>),
    #[error(transparent)]
    Other(LocalPeopleError),
}

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
                    Ok(changed.map(|changed| self.changed(&known, changed)))
                }
                None => Ok(Some(created(change.new_person(login, now)?))),
            });
            match planned {
                Ok(None) => imported.unchanged += 1,
                Ok(Some(write)) => {
                    match write.expected {
                        None => imported.created += 1,
                        Some(_) => imported.updated += 1,
                    }
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
