//! `Api`: the two APIs of DingTalk, called with the application's token. The newer one issues tokens and knows
//! who logs in; the older one has members and departments.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::super::DiscardedRecently;
use super::super::kit::app_token::{AppToken, IssuedToken};
pub(super) use super::super::kit::number::number;
use super::super::kit::web_url::below;
use super::errors::{ApiError, GET_SSO_TOKEN, GET_TOKEN};
use crate::clock::Clock;
use crate::outbound::{
    AcceptedStatus, JsonRequest, JsonResponse, Outbound, OutboundCall, OutboundError, RequestToken,
};
use crate::secret::Secret;

mod answers;

use answers::{incomplete, issued_token, result_list, result_object, with_error_code, with_status};

/// The longest accepted page of members or list of departments, in bytes.
const LIST_BYTES_MAX: usize = 8 << 20;

/// The most members of one page; the maximum of DingTalk.
const PAGE_SIZE: u32 = 100;

/// The header that carries a token to the newer API.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// The members of an answer.
pub(super) type ResponseObject = Map<String, Value>;

/// The API client of one application.
#[derive(Debug)]
pub(super) struct Api {
    outbound: Outbound,
    bases: Bases,
    app_key: String,
    app_secret: Secret<String>,
    token: AppToken,
    /// The token for the admin console.
    sso_token: AppToken,
}

/// The base URLs of the two APIs.
#[derive(Clone, Debug)]
pub(super) struct Bases {
    pub(super) newer: Url,
    pub(super) older: Url,
}

/// The token of a person who logs in with a browser.
#[derive(Debug)]
pub(super) struct UserToken {
    pub(super) token: Secret<String>,
    /// The organisation that the person chose, if the login page asked for it.
    pub(super) corp_id: Option<String>,
}

/// Whom the organisation has under a unionId.
#[derive(Debug)]
pub(super) struct UnionMember {
    pub(super) userid: String,
    /// 0: a member; 1: an external contact.
    pub(super) contact_type: i64,
}

/// An administrator who comes from the admin console.
#[derive(Debug)]
pub(super) struct Administrator {
    pub(super) userid: String,
    pub(super) corp_id: String,
    pub(super) is_administrator: bool,
}

/// A page of the members of a department.
#[derive(Debug)]
pub(super) struct MembersPage {
    pub(super) members: Vec<Value>,
    pub(super) next_cursor: Option<i64>,
}

/// A call of the older API.
struct OldCall<'a> {
    call: OutboundCall,
    body: &'a Value,
    /// A value to redact from error messages; may be empty.
    redacted: &'a str,
}

impl<'a> OldCall<'a> {
    fn repeatable(name: &'static str, body: &'a Value) -> Self {
        Self {
            call: OutboundCall::repeatable(name),
            body,
            redacted: "",
        }
    }
}

impl Api {
    pub(super) fn new(
        outbound: Outbound,
        bases: Bases,
        app_key: String,
        app_secret: Secret<String>,
        clock: &Clock,
    ) -> Self {
        Self {
            outbound,
            bases,
            app_key,
            app_secret,
            token: AppToken::new("DingTalk", GET_TOKEN, clock.clone()),
            sso_token: AppToken::new("DingTalk", GET_SSO_TOKEN, clock.clone()),
        }
    }

    /// The application's token;
    /// <https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app>.
    pub(super) async fn token(&self) -> Result<Arc<Secret<String>>, ApiError> {
        self.token.get(|| self.request_token()).await
    }

    /// How long this token is used before it is replaced.
    pub(super) fn usable_for(&self, token: &Arc<Secret<String>>) -> Duration {
        self.token.usable_for(token)
    }

    /// Discards the current token if it is `rejected`.
    pub(super) fn discard_token(&self, rejected: &str) -> Result<(), DiscardedRecently> {
        self.token.discard(rejected)
    }

    /// Redeems the code of a login with a browser;
    /// <https://open.dingtalk.com/document/orgapp/obtain-user-token>.
    pub(super) async fn user_token(&self, code: &str) -> Result<UserToken, ApiError> {
        let call = "v1.0/oauth2/userAccessToken";
        let secret = self.app_secret.expose().as_str();
        let body = json!({
            "clientId": self.app_key,
            "clientSecret": secret,
            "code": code,
            "grantType": "authorization_code",
        });
        let url = below(&self.bases.newer, call.split('/'));
        let request = JsonRequest::post(&url, body);
        let answer = self.send(request, OutboundCall::once(call)).await?;
        let mut fields = with_status(call, answer, &[secret, code])?;
        let corp_id = fields.get("corpId").and_then(Value::as_str);
        let corp_id = corp_id.filter(|id| !id.is_empty()).map(str::to_owned);
        let token = issued_token(call, &mut fields, ["accessToken", "expireIn"])?.token;
        Ok(UserToken { token, corp_id })
    }

    /// The unionId of the person who logs in;
    /// <https://open.dingtalk.com/document/orgapp/dingtalk-retrieve-user-information>.
    pub(super) async fn union_id(&self, token: &Secret<String>) -> Result<String, ApiError> {
        let call = "v1.0/contact/users/me";
        let url = below(&self.bases.newer, call.split('/'));
        let token_header = RequestToken::Header(TOKEN_HEADER, token);
        let request = JsonRequest::get(&url).with_token(token_header);
        let answer = self.send(request, OutboundCall::repeatable(call)).await?;
        let fields = with_status(call, answer, &[token.expose().as_str()])?;
        let union_id = fields.get("unionId").and_then(Value::as_str);
        let union_id = union_id.filter(|id| !id.is_empty()).map(str::to_owned);
        union_id.ok_or_else(|| incomplete(call, "`unionId`"))
    }

    /// The member with a unionId; <https://open.dingtalk.com/document/orgapp/query-a-user-by-the-union-id>.
    pub(super) async fn member_of_union(&self, union_id: &str) -> Result<UnionMember, ApiError> {
        let call = "topapi/user/getbyunionid";
        let body = json!({ "unionid": union_id });
        let fields = self.call(OldCall::repeatable(call, &body)).await?;
        let found = result_object(call, fields)?;
        let contact_type = found.get("contact_type").and_then(number);
        Ok(UnionMember {
            userid: text(call, &found, "userid", "`userid`")?,
            contact_type: contact_type.ok_or_else(|| incomplete(call, "`contact_type`"))?,
        })
    }

    /// Redeems a code of the client; returns the userid.
    /// <https://open.dingtalk.com/document/orgapp/obtain-the-userid-of-a-user-by-using-the-log-free>
    pub(super) async fn redeem_in_app(&self, code: &str) -> Result<String, ApiError> {
        let call = "topapi/v2/user/getuserinfo";
        let body = json!({ "code": code });
        let fields = self
            .call(OldCall {
                call: OutboundCall::once(call),
                body: &body,
                redacted: code,
            })
            .await?;
        text(call, &result_object(call, fields)?, "userid", "`userid`")
    }

    /// The fields of a member; <https://open.dingtalk.com/document/orgapp/query-user-details>.
    pub(super) async fn member(&self, userid: &str) -> Result<ResponseObject, ApiError> {
        let call = "topapi/v2/user/get";
        let body = json!({ "userid": userid, "language": "zh_CN" });
        result_object(call, self.call(OldCall::repeatable(call, &body)).await?)
    }

    /// The fields of a department; <https://open.dingtalk.com/document/orgapp/query-department-details0-v2>.
    pub(super) async fn department(&self, id: i64) -> Result<ResponseObject, ApiError> {
        let call = "topapi/v2/department/get";
        let body = json!({ "dept_id": id, "language": "zh_CN" });
        result_object(call, self.call(OldCall::repeatable(call, &body)).await?)
    }

    /// The departments directly below one;
    /// <https://open.dingtalk.com/document/orgapp/obtain-the-department-list-v2>.
    pub(super) async fn departments_below(&self, id: i64) -> Result<Vec<Value>, ApiError> {
        let call = "topapi/v2/department/listsub";
        let body = json!({ "dept_id": id, "language": "zh_CN" });
        result_list(call, self.call(OldCall::repeatable(call, &body)).await?)
    }

    /// The topmost departments that the application may see, if not the whole organisation.
    pub(super) async fn visible_departments(&self) -> Result<Vec<i64>, ApiError> {
        let call = "auth/scopes";
        let get = |token: Arc<Secret<String>>| async move {
            let token = token.expose().as_str();
            let query = [("access_token", token)];
            let url = below(&self.bases.older, call.split('/'));
            let answer = self
                .outbound
                .get_json(&url, &query, OutboundCall::repeatable(call));
            with_error_code(call, answer.await?, &[token])
        };
        let fields = self.token.call(|| self.request_token(), get).await?;
        let scopes = fields.get("auth_org_scopes");
        let departments = scopes.and_then(|scopes| scopes.get("authed_dept")?.as_array());
        let departments = departments.ok_or_else(|| incomplete(call, "`authed_dept`"))?;
        Ok(departments.iter().filter_map(number).collect())
    }

    /// A page of the members who belong to a department directly;
    /// <https://open.dingtalk.com/document/orgapp/queries-the-complete-information-of-a-department-user>.
    pub(super) async fn members(
        &self,
        department: i64,
        cursor: i64,
    ) -> Result<MembersPage, ApiError> {
        let call = "topapi/v2/user/list";
        let body = json!({
            "dept_id": department,
            "cursor": cursor,
            "size": PAGE_SIZE,
            "language": "zh_CN",
        });
        let fields = self.call(OldCall::repeatable(call, &body)).await?;
        let mut page = result_object(call, fields)?;
        let Some(Value::Array(members)) = page.remove("list") else {
            return Err(incomplete(call, "`list`"));
        };
        let has_more = page.get("has_more").and_then(Value::as_bool);
        let next_cursor = match has_more {
            Some(true) => {
                let next = page.get("next_cursor").and_then(number);
                Some(next.ok_or_else(|| incomplete(call, "`next_cursor`"))?)
            }
            Some(false) | None => None,
        };
        Ok(MembersPage {
            members,
            next_cursor,
        })
    }

    /// Redeems a code of the admin console;
    /// <https://open.dingtalk.com/document/orgapp/obtain-administrator-information>.
    pub(super) async fn administrator(
        &self,
        corp_id: &str,
        sso_secret: &Secret<String>,
        code: &str,
    ) -> Result<Administrator, ApiError> {
        let call = "sso/getuserinfo";
        let url = &below(&self.bases.older, call.split('/'));
        let get = |token: Arc<Secret<String>>| async move {
            let token = token.expose().as_str();
            let query = [("access_token", token), ("code", code)];
            let answer = self
                .outbound
                .get_json(url, &query, OutboundCall::once(call));
            with_error_code(call, answer.await?, &[token, code])
        };
        let request = || self.request_sso_token(corp_id, sso_secret);
        let fields = self.sso_token.call(request, get).await?;
        let object = |name: &str| fields.get(name).and_then(Value::as_object);
        let user = object("user_info").ok_or_else(|| incomplete(call, "`user_info`"))?;
        let corp = object("corp_info").ok_or_else(|| incomplete(call, "`corp_info`"))?;
        Ok(Administrator {
            userid: text(call, user, "userid", "`userid`")?,
            corp_id: text(call, corp, "corpid", "`corpid`")?,
            is_administrator: fields.get("is_sys").and_then(Value::as_bool) == Some(true),
        })
    }

    /// Makes a call of the older API. Repeats it once with a new token if DingTalk rejects the token.
    async fn call(&self, old_call: OldCall<'_>) -> Result<ResponseObject, ApiError> {
        let (outbound, old_call) = (self.outbound.with_response_limit(LIST_BYTES_MAX), &old_call);
        let outbound = &outbound;
        let call = |token: Arc<Secret<String>>| async move {
            let OldCall {
                call,
                body,
                redacted,
            } = *old_call;
            let token = token.expose().as_str();
            let url = below(&self.bases.older, call.name().split('/'));
            let query = [("access_token", token)];
            let answer = outbound.post_json(&url, &query, body, call).await?;
            with_error_code(call.name(), answer, &[token, redacted])
        };
        self.token.call(|| self.request_token(), call).await
    }

    /// Makes a call of the newer API, which refuses with a 4xx status.
    async fn send(
        &self,
        request: JsonRequest<'_>,
        call: OutboundCall,
    ) -> Result<JsonResponse, OutboundError> {
        let accepted = AcceptedStatus::SuccessOrRefusal;
        self.outbound.send_json(request, accepted, call).await
    }

    async fn request_token(&self) -> Result<IssuedToken, ApiError> {
        let secret = self.app_secret.expose().as_str();
        let body = json!({ "appKey": self.app_key, "appSecret": secret });
        let url = below(&self.bases.newer, GET_TOKEN.split('/'));
        let request = JsonRequest::post(&url, body);
        let call = OutboundCall::repeatable(GET_TOKEN);
        let answer = self.send(request, call).await?;
        let mut fields = with_status(GET_TOKEN, answer, &[secret])?;
        issued_token(GET_TOKEN, &mut fields, ["accessToken", "expireIn"])
    }

    async fn request_sso_token(
        &self,
        corp_id: &str,
        sso_secret: &Secret<String>,
    ) -> Result<IssuedToken, ApiError> {
        let secret = sso_secret.expose().as_str();
        let query = [("corpid", corp_id), ("corpsecret", secret)];
        let url = below(&self.bases.older, GET_SSO_TOKEN.split('/'));
        let answer = self
            .outbound
            .get_json(&url, &query, OutboundCall::repeatable(GET_SSO_TOKEN))
            .await?;
        let mut fields = with_error_code(GET_SSO_TOKEN, answer, &[secret])?;
        issued_token(GET_SSO_TOKEN, &mut fields, ["access_token", "expires_in"])
    }
}

/// A text that must be there.
fn text(
    call: &'static str,
    fields: &ResponseObject,
    name: &str,
    missing: &'static str,
) -> Result<String, ApiError> {
    let found = fields.get(name).and_then(Value::as_str);
    let found = found.filter(|text| !text.is_empty()).map(str::to_owned);
    found.ok_or_else(|| incomplete(call, missing))
}
