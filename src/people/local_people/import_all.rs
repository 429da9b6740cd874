//! Imports people: all of them, or none.

use super::change::Changed;
use super::{ATTEMPTS_MAX, LocalPeople, LocalPeopleError, LocalPersonChange, subject_of};
use crate::store::{EndedLogins, LocalPersonWrite, LoginName, Subject};

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportedPeople {
    pub created: usize,
    pub updated: usize,
    /// Those of them who may sign in.
    pub changed: Vec<Subject>,
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
                Some(known) => Ok((Some(known.revision), change.apply_to(&known, now)?)),
                None => {
                    let person = change.new_person(login, now)?;
                    let ends_logins = true;
                    Ok((
                        None,
                        Some(Changed {
                            person,
                            ends_logins,
                        }),
                    ))
                }
            });
            match planned {
                Ok((_, None)) => imported.unchanged += 1,
                Ok((
                    expected,
                    Some(Changed {
                        person,
                        ends_logins,
                    }),
                )) => {
                    let subject = person.subject.clone();
                    match expected {
                        None => imported.created += 1,
                        Some(_) => imported.updated += 1,
                    }
                    if expected.is_some() && !person.disabled {
                        imported.changed.push(subject.clone());
                    }
                    writes.push(LocalPersonWrite {
                        subject,
                        expected,
                        person: Some(person),
                        ends_logins,
                    });
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
