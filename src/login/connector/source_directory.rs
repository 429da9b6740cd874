//! `SourceDirectory`: reads the departments and people of a source, for directory syncs.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::ConnectorError;
use crate::people::directory_sync::ListedPerson;
use crate::store::{Department, Subject};
use crate::wording::Text;

/// A source whose departments and people can be read without them.
#[async_trait]
pub trait SourceDirectory: Debug + Send + Sync {
    /// The subject of the person whom the source names so; `None` if that cannot be the ID of a person.
    fn subject_of(&self, id: &str) -> Option<Subject>;

    /// Reads the departments that this site may see, and begins to read people. The departments and tags
    /// of people are those of this moment.
    async fn open(self: Arc<Self>) -> Result<Box<dyn OpenDirectory>, ConnectorError>;
}

/// A directory that is being read. Calls may run at the same time.
#[async_trait]
pub trait OpenDirectory: Debug + Send + Sync {
    /// The departments that this site may see. A parent that is not among them is absent.
    fn departments(&self) -> &[Department];

    /// What was not read, although the source may have it; each with its remedy.
    fn problems(&self) -> Vec<(Text, Text)> {
        Vec::new()
    }

    /// The people who belong to a department directly, from the page on that the last call returned.
    async fn members(
        &self,
        department: &str,
        page: Option<&str>,
    ) -> Result<MemberPage, ConnectorError>;

    /// Reads one person.
    async fn person(&self, subject: &Subject) -> Result<PersonAnswer, ConnectorError>;

    /// Whether the source still has a department that it does not list.
    async fn has_department(&self, id: &str) -> Result<bool, ConnectorError>;

    /// Everybody whom the organisation has, also outside of what this site may see; `None` if the source
    /// does not tell.
    async fn all_subjects(&self) -> Result<Option<HashSet<Subject>>, ConnectorError> {
        Ok(None)
    }
}

/// A part of the people of a department.
#[derive(Debug)]
pub struct MemberPage {
    pub people: Vec<ListedPerson>,
    /// People who cannot be read, each with the reason.
    pub unreadable: Vec<String>,
    /// The next page, if there is one.
    pub next: Option<String>,
}

impl MemberPage {
    /// Reads a page. `read` says why somebody cannot be read.
    pub(super) fn read(
        items: Vec<Value>,
        next: Option<String>,
        read: impl Fn(Map<String, Value>) -> Result<ListedPerson, String>,
    ) -> Self {
        let (mut people, mut unreadable) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            let person = match item {
                Value::Object(item) => read(item),
                _ => Err("not an object".to_owned()),
            };
            match person {
                Ok(person) => people.push(person),
                Err(why) => unreadable.push(why),
            }
        }
        Self {
            people,
            unreadable,
            next,
        }
    }
}

/// What a source says about one person.
#[derive(Debug)]
pub enum PersonAnswer {
    Listed(Box<ListedPerson>),
    /// The source does not know the person, or does not show them to this site.
    Unknown(String),
    /// The source has the person, and does not show them to this site.
    NotVisible(String),
}
