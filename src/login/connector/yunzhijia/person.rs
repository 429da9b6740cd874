//! The person of a ticket: checks that the response is about this team and application, and reads the
//! profile.

use serde_json::Value;

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use super::api::{ACQUIRE_CONTEXT, ResponseObject};
use crate::people::profile::{AuthContext, Profile};
use crate::store::Subject;

/// The profile of a response. Yunzhijia vouches for no field.
pub(super) fn profile(
    app_id: &str,
    eid: &str,
    mut data: ResponseObject,
) -> Result<Profile, ConnectorError> {
    // An empty field is an absent one, so that the mapping can ask for it with `has`.
    data.retain(|_, value| !is_blank(value));
    if let Some(found) = data.get("appid").and_then(text)
        && found != app_id
    {
        return Err(invalid("the ticket was issued for another application"));
    }
    let found = data.get("eid").and_then(text);
    match found {
        Some(found) if found == eid => {}
        Some(_) => {
            return Err(ConnectorError::Refused {
                why: RefusalReason::NotMember,
                source: fault("the person is in another team (eid) than the configured one"),
            });
        }
        None => return Err(invalid("the answer has no `eid`")),
    }
    let openid = data.get("openid").and_then(text);
    let openid = openid.ok_or_else(|| invalid("the answer has no `openid`"))?;
    let subject = Subject::try_from(format!("{eid}:{openid}"));
    let subject = subject.map_err(|_| invalid("`openid` is too long or malformed"))?;
    Ok(Profile {
        subject,
        raw: Value::Object(data),
        verified_fields: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        response_id: None,
    })
}

/// A text or a number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn invalid(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(fault(why))
}

fn fault(why: &str) -> SourceRefusal {
    SourceRefusal::fault(ACQUIRE_CONTEXT, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(data: &Value) -> Result<Profile, ConnectorError> {
        profile("500001", "17951708", data.as_object().unwrap().clone())
    }

    #[test]
    fn the_subject_is_team_and_openid_and_empty_fields_are_absent() {
        let found = read(&json!({
            "appid": "500001", "eid": "17951708", "openid": "5de5", "username": "张三", "jobNo": " ",
            "mobile": null,
        }));
        let found = found.unwrap();
        assert_eq!(found.subject.as_str(), "17951708:5de5");
        let expected = json!({
            "appid": "500001", "eid": "17951708", "openid": "5de5", "username": "张三",
        });
        assert_eq!(found.raw, expected);
        assert!(found.verified_fields.is_empty());
        let numbers = read(&json!({ "eid": 17951708, "openid": 7 })).unwrap();
        assert_eq!(numbers.subject.as_str(), "17951708:7");
    }

    #[test]
    fn another_team_another_application_and_nobody_are_refused() {
        for data in [
            json!({ "eid": "17951709", "openid": "5de5" }),
            json!({ "eid": "", "openid": "5de5" }),
            json!({ "openid": "5de5" }),
            json!({ "eid": ["17951708"], "openid": "5de5" }),
            json!({ "eid": "17951708" }),
            json!({ "eid": "17951708", "openid": "" }),
            json!({ "eid": "17951708", "openid": true }),
            json!({ "eid": "17951708", "openid": "5de5", "appid": "500002" }),
        ] {
            assert!(read(&data).is_err(), "{data}");
        }
        let foreign = read(&json!({ "eid": "17951709", "openid": "5de5" }));
        assert!(matches!(
            foreign,
            Err(ConnectorError::Refused {
                why: RefusalReason::NotMember,
                ..
            })
        ));
    }
}
