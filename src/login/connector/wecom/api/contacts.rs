//! The calls about contacts: departments, members and tags.

use serde_json::{Value, json};

use super::{Api, ApiCall, ResponseObject, incomplete, number};
use crate::login::connector::wecom::errors::ApiError;
use crate::outbound::OutboundCall;

/// The longest accepted list of departments, in bytes: enough for 30,000 with their leaders.
const DEPARTMENTS_BYTES_MAX: usize = 16 << 20;

/// The longest accepted list of members, in bytes: enough for 10,000.
const MEMBERS_BYTES_MAX: usize = 32 << 20;

/// The most userids of one page; the maximum of WeCom.
const MEMBER_IDS_MAX: usize = 10_000;

/// A page of userids. A member of several departments is in it several times.
#[derive(Debug)]
pub(in crate::login::connector::wecom) struct MemberIds {
    pub(in crate::login::connector::wecom) userids: Vec<String>,
    /// The cursor of the next page, if there is one.
    pub(in crate::login::connector::wecom) next_cursor: Option<String>,
}

/// Who has a tag.
#[derive(Debug)]
pub(in crate::login::connector::wecom) struct TagHolders {
    pub(in crate::login::connector::wecom) userids: Vec<String>,
    /// The departments whose members have it, also in those below.
    pub(in crate::login::connector::wecom) departments: Vec<i64>,
}

impl Api {
    /// The departments that the application may see;
    /// <https://developer.work.weixin.qq.com/document/path/90208>.
    pub(in crate::login::connector::wecom) async fn departments(
        &self,
    ) -> Result<Vec<Value>, ApiError> {
        let call = "department/list";
        let outbound = self.outbound.with_response_limit(DEPARTMENTS_BYTES_MAX);
        let api_call = ApiCall {
            call: OutboundCall::repeatable(call),
            query: &[],
            body: None,
            redacted: "",
        };
        match self
            .call_over(&outbound, api_call)
            .await?
            .remove("department")
        {
            Some(Value::Array(departments)) => Ok(departments),
            _ => Err(incomplete(call, "`department`")),
        }
    }

    /// The fields of the members who belong to a department directly, as far as the application may see
    /// them; <https://developer.work.weixin.qq.com/document/path/90201>.
    pub(in crate::login::connector::wecom) async fn members(
        &self,
        department: &str,
    ) -> Result<Vec<Value>, ApiError> {
        self.user_list("user/list", department).await
    }

    /// The userids of these members; <https://developer.work.weixin.qq.com/document/path/90200>.
    pub(in crate::login::connector::wecom) async fn member_ids_of(
        &self,
        department: &str,
    ) -> Result<Vec<String>, ApiError> {
        let members = self.user_list("user/simplelist", department).await?;
        Ok(members.iter().filter_map(userid).collect())
    }

    async fn user_list(
        &self,
        call: &'static str,
        department: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let outbound = self.outbound.with_response_limit(MEMBERS_BYTES_MAX);
        let query = [("department_id", department)];
        let api_call = ApiCall {
            call: OutboundCall::repeatable(call),
            query: &query,
            body: None,
            redacted: "",
        };
        let mut fields = self.call_over(&outbound, api_call).await?;
        match fields.remove("userlist") {
            Some(Value::Array(members)) => Ok(members),
            _ => Err(incomplete(call, "`userlist`")),
        }
    }

    /// A department; <https://developer.work.weixin.qq.com/document/path/95351>.
    pub(in crate::login::connector::wecom) async fn department(
        &self,
        id: &str,
    ) -> Result<ResponseObject, ApiError> {
        let query = [("id", id)];
        self.call(ApiCall {
            call: OutboundCall::repeatable("department/get"),
            query: &query,
            body: None,
            redacted: "",
        })
        .await
    }

    /// A page of the userids of all members, which only the Secret of 通讯录同步 may read;
    /// <https://developer.work.weixin.qq.com/document/path/96067>.
    pub(in crate::login::connector::wecom) async fn member_ids(
        &self,
        cursor: &str,
    ) -> Result<MemberIds, ApiError> {
        let call = "user/list_id";
        let body = json!({ "cursor": cursor, "limit": MEMBER_IDS_MAX });
        let outbound = self.outbound.with_response_limit(MEMBERS_BYTES_MAX);
        let api_call = ApiCall {
            call: OutboundCall::repeatable(call),
            query: &[],
            body: Some(&body),
            redacted: "",
        };
        let mut fields = self.call_over(&outbound, api_call).await?;
        let Some(Value::Array(rows)) = fields.remove("dept_user") else {
            return Err(incomplete(call, "`dept_user`"));
        };
        let next = fields.get("next_cursor").and_then(Value::as_str);
        Ok(MemberIds {
            userids: rows.iter().filter_map(userid).collect(),
            next_cursor: next.filter(|next| !next.is_empty()).map(str::to_owned),
        })
    }

    /// The IDs and names of all tags; <https://developer.work.weixin.qq.com/document/path/90216>.
    pub(in crate::login::connector::wecom) async fn tags(
        &self,
    ) -> Result<Vec<(i64, String)>, ApiError> {
        let call = "tag/list";
        let mut fields = self
            .call(ApiCall {
                call: OutboundCall::repeatable(call),
                query: &[],
                body: None,
                redacted: "",
            })
            .await?;
        let Some(Value::Array(rows)) = fields.remove("taglist") else {
            return Err(incomplete(call, "`taglist`"));
        };
        let tag = |row: &Value| {
            let name = row.get("tagname")?.as_str()?.to_owned();
            Some((number(row.get("tagid")?)?, name))
        };
        Ok(rows.iter().filter_map(tag).collect())
    }

    /// The members and departments that have a tag; <https://developer.work.weixin.qq.com/document/path/90213>.
    pub(in crate::login::connector::wecom) async fn tag(
        &self,
        id: i64,
    ) -> Result<TagHolders, ApiError> {
        let id = id.to_string();
        let query = [("tagid", id.as_str())];
        let outbound = self.outbound.with_response_limit(MEMBERS_BYTES_MAX);
        let api_call = ApiCall {
            call: OutboundCall::repeatable("tag/get"),
            query: &query,
            body: None,
            redacted: "",
        };
        let fields = self.call_over(&outbound, api_call).await?;
        let list = |name| fields.get(name).and_then(Value::as_array).into_iter();
        Ok(TagHolders {
            userids: list("userlist").flatten().filter_map(userid).collect(),
            departments: list("partylist").flatten().filter_map(number).collect(),
        })
    }
}

fn userid(row: &Value) -> Option<String> {
    row.get("userid").and_then(Value::as_str).map(str::to_owned)
}
