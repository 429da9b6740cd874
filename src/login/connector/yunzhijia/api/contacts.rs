//! The contacts of the team: departments and people, with the scope `app`;
//! <https://open.yunzhijia.com/opendocs/docs/server-api/org/index.md>.

use std::sync::Arc;

use serde_json::Value;

use super::super::errors::ApiError;
use super::{Api, ResponseObject, incomplete, succeeded};
use crate::outbound::{AcceptedStatus, JsonRequest, OutboundCall};
use crate::secret::Secret;

/// The most departments or people of one page; the maximum of Yunzhijia. A shorter page is the last one.
pub(in super::super) const PAGE_SIZE: usize = 1000;

/// The longest accepted page, in bytes: departments come with the people who lead them.
const PAGE_BYTES_MAX: usize = 16 << 20;

pub(in super::super) const GET_PERSON: &str = "getperson";
pub(in super::super) const GET_DEPARTMENTS: &str = "getallorgs";
pub(in super::super) const GET_MEMBERS: &str = "getorgpersons";
const GET_DEPARTMENT: &str = "getorg";

impl Api {
    /// A page of all departments of the team, after `begin` others.
    pub(in super::super) async fn departments(&self, begin: usize) -> Result<Vec<Value>, ApiError> {
        let (begin, count) = (begin.to_string(), PAGE_SIZE.to_string());
        let form = [("begin", begin.as_str()), ("count", count.as_str())];
        match self.ask_contacts(GET_DEPARTMENTS, &form).await? {
            Value::Array(list) => Ok(list),
            _ => Err(incomplete(GET_DEPARTMENTS, "a list as `data`")),
        }
    }

    /// A department; `None` if there is none with this ID.
    pub(in super::super) async fn department(
        &self,
        id: &str,
    ) -> Result<Option<ResponseObject>, ApiError> {
        match self.ask_contacts(GET_DEPARTMENT, &[("orgId", id)]).await {
            Ok(Value::Object(department)) => Ok(Some(department)),
            Ok(Value::Null) => Ok(None),
            Ok(_) => Err(incomplete(GET_DEPARTMENT, "an object as `data`")),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of the people who belong to a department directly, after `begin` others.
    pub(in super::super) async fn members(
        &self,
        department: &str,
        begin: usize,
    ) -> Result<Vec<Value>, ApiError> {
        let (begin, count) = (begin.to_string(), PAGE_SIZE.to_string());
        let form = [
            ("orgId", department),
            ("begin", begin.as_str()),
            ("count", count.as_str()),
        ];
        let data = self.ask_contacts(GET_MEMBERS, &form).await?;
        match data {
            Value::Object(mut data) => match data.remove("members") {
                Some(Value::Array(members)) => Ok(members),
                _ => Err(incomplete(GET_MEMBERS, "`data.members`")),
            },
            _ => Err(incomplete(GET_MEMBERS, "an object as `data`")),
        }
    }

    /// A person; `None` if the team has nobody with this openid.
    pub(in super::super) async fn person(
        &self,
        openid: &str,
    ) -> Result<Option<ResponseObject>, ApiError> {
        match self.ask_contacts(GET_PERSON, &[("openId", openid)]).await {
            Ok(Value::Array(list)) => match list.into_iter().next() {
                Some(Value::Object(person)) => Ok(Some(person)),
                Some(_) => Err(incomplete(GET_PERSON, "an object in `data`")),
                None => Ok(None),
            },
            Ok(Value::Null) => Ok(None),
            Ok(_) => Err(incomplete(GET_PERSON, "a list as `data`")),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The data of a call about the contacts. Repeats the call once with a new token if Yunzhijia rejects the
    /// token.
    async fn ask_contacts(
        &self,
        name: &'static str,
        fields: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        let url = &self.url(["gateway", "opendata-control", "data", name]);
        let outbound = &self.outbound.with_response_limit(PAGE_BYTES_MAX);
        let form = &[&[("eid", self.eid.as_str())], fields].concat();
        let call = |token: Arc<Secret<String>>| async move {
            let token = token.expose().as_str();
            let request = JsonRequest::post_form(url, form).with_query(&[("accessToken", token)]);
            let call = OutboundCall::repeatable(name);
            let sent = outbound.send_json(request, AcceptedStatus::Success, call);
            succeeded(name, sent.await?.body, &[token])
        };
        self.token.call(|| self.request_token(), call).await
    }
}
