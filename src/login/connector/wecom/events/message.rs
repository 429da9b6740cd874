//! Reads the messages inside callbacks: changes of members and departments;
//! <https://developer.work.weixin.qq.com/document/path/90970>.

use super::super::super::DirectoryChange;
use super::super::super::kit::xml::{Element, XmlError, XmlLimits};
use super::super::member;
use crate::store::Subject;

/// The limits of a message. Members have a few dozen fields.
const MESSAGE_LIMITS: XmlLimits = XmlLimits {
    bytes: 64 << 10,
    elements: 512,
    depth: 8,
    attributes: 8,
};

/// Why an authentic message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("its XML is not valid")]
    Xml(#[from] XmlError),
    #[error("it lacks {0}, or has several")]
    Missing(&'static str),
    #[error("its {0} is no userid")]
    InvalidUserid(&'static str),
}

/// The change that a message reports; `None` for all other messages. Fields of members are not taken
/// over: newer callbacks have only IDs, and the API has all fields.
pub(super) fn read(message: &[u8], corp_id: &str) -> Result<Option<DirectoryChange>, MessageError> {
    let message = Element::read(message, MESSAGE_LIMITS)?;
    if message.child_text("MsgType").as_deref() != Some("event")
        || message.child_text("Event").as_deref() != Some("change_contact")
    {
        return Ok(None);
    }
    let subject = |name: &'static str| {
        let userid = message.child_text(name);
        subject_of(corp_id, &userid.ok_or(MessageError::Missing(name))?, name)
    };
    let kind = message
        .child_text("ChangeType")
        .ok_or(MessageError::Missing("ChangeType"))?;
    Ok(match kind.as_str() {
        "delete_user" => Some(DirectoryChange::PersonDeleted(subject("UserID")?)),
        "update_user" => {
            let from = subject("UserID")?;
            let has_new_userid = message
                .child_text("NewUserID")
                .is_some_and(|id| !id.is_empty());
            let to = has_new_userid.then(|| subject("NewUserID")).transpose()?;
            Some(match to {
                // A change of case does not change the subject.
                Some(to) if to != from => DirectoryChange::PersonRenamed { from, to },
                _ => DirectoryChange::PersonUpdated(from),
            })
        }
        "create_user" => Some(DirectoryChange::PersonAdded(subject("UserID")?)),
        "create_party" | "update_party" | "delete_party" => {
            let id = message.child_text("Id").filter(|id| is_department_id(id));
            Some(DirectoryChange::Department(id))
        }
        _ => None,
    })
}

fn is_department_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn subject_of(corp_id: &str, userid: &str, name: &'static str) -> Result<Subject, MessageError> {
    let invalid = MessageError::InvalidUserid(name);
    if !member::is_userid(userid) {
        return Err(invalid);
    }
    member::subject(corp_id, userid).map_err(|_| invalid)
}

#[cfg(test)]
mod tests;
