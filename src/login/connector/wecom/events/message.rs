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
    if message.child_text("MsgType") != Some("event")
        || message.child_text("Event") != Some("change_contact")
    {
        return Ok(None);
    }
    let subject = |name: &'static str| {
        let userid = message.child_text(name);
        subject_of(corp_id, userid.ok_or(MessageError::Missing(name))?, name)
    };
    let kind = message
        .child_text("ChangeType")
        .ok_or(MessageError::Missing("ChangeType"))?;
    Ok(match kind {
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
            Some(DirectoryChange::Department(id.map(str::to_owned)))
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
mod tests {
    use super::*;

    fn change(fields: &str) -> Result<Option<DirectoryChange>, MessageError> {
        let message = format!(
            "<xml><ToUserName><![CDATA[ww1]]></ToUserName><MsgType><![CDATA[event]]></MsgType>\
             <Event><![CDATA[change_contact]]></Event>{fields}</xml>"
        );
        read(message.as_bytes(), "WW1")
    }

    fn subject(userid: &str) -> Subject {
        format!("ww1:{userid}").parse().unwrap()
    }

    #[test]
    fn changes_of_members_and_departments_are_read() {
        let read = |fields: &str| change(fields).unwrap().unwrap();
        let deleted = "<ChangeType>delete_user</ChangeType><UserID><![CDATA[ZhangSan]]></UserID>";
        let zhangsan = subject("zhangsan");
        assert_eq!(
            read(deleted),
            DirectoryChange::PersonDeleted(zhangsan.clone())
        );
        let updated = "<ChangeType><![CDATA[update_user]]></ChangeType><UserID>ZhangSan</UserID>";
        let is_update = DirectoryChange::PersonUpdated(zhangsan.clone());
        assert_eq!(read(updated), is_update);
        for same in ["ZHANGSAN", ""] {
            let fields = format!("{updated}<NewUserID>{same}</NewUserID>");
            assert_eq!(read(&fields), is_update, "{same}");
        }
        assert_eq!(
            read(&format!("{updated}<NewUserID>Zhang.San</NewUserID>")),
            DirectoryChange::PersonRenamed {
                from: zhangsan.clone(),
                to: subject("zhang.san")
            }
        );
        for kind in ["create_party", "update_party", "delete_party"] {
            let fields = format!("<ChangeType>{kind}</ChangeType><Id>2</Id>");
            let expected = DirectoryChange::Department(Some("2".to_owned()));
            assert_eq!(read(&fields), expected);
            let fields = format!("<ChangeType>{kind}</ChangeType><Id>../2</Id>");
            assert_eq!(read(&fields), DirectoryChange::Department(None));
        }
        let added = "<ChangeType>create_user</ChangeType><UserID>ZhangSan</UserID>";
        assert_eq!(read(added), DirectoryChange::PersonAdded(zhangsan));
    }

    #[test]
    fn other_messages_report_no_change() {
        let tag = "<ChangeType>update_tag</ChangeType><TagId>1</TagId>";
        assert_eq!(change(tag).unwrap(), None);
        for message in [
            "<xml><MsgType>text</MsgType><Content>hello</Content></xml>",
            "<xml><MsgType>event</MsgType><Event>enter_agent</Event></xml>",
        ] {
            assert_eq!(read(message.as_bytes(), "ww1").unwrap(), None, "{message}");
        }
    }

    #[test]
    fn a_change_without_its_member_cannot_be_read() {
        let deleted = "<ChangeType>delete_user</ChangeType>";
        let long = "a".repeat(65);
        for fields in [
            String::new(),
            deleted.to_owned(),
            format!("{deleted}<UserID/>"),
            format!("{deleted}<UserID>a</UserID><UserID>b</UserID>"),
            format!("{deleted}<UserID>ww2/zhangsan</UserID>"),
            format!("{deleted}<UserID>{long}</UserID>"),
            format!("{deleted}<UserID>a&#10;b</UserID>"),
        ] {
            assert!(change(&fields).is_err(), "{fields}");
        }
        assert!(read(b"<!DOCTYPE x><xml/>", "ww1").is_err());
    }
}
