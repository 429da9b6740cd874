//! The contact API: people and departments, as far as the application may see them.

use serde_json::Value;

use super::super::errors::ApiError;
use super::{Api, ApiCall, Object, incomplete, object};
use crate::outbound::OutboundCall;

/// The entries of a page; the maximum of Lark.
const PAGE_SIZE: &str = "50";

/// The most people of one call; the maximum of Lark.
pub(in super::super) const BATCH_MAX: usize = 50;

/// By which IDs the contact API names people and departments.
const ID_TYPES: [(&str, &str); 2] = [
    ("user_id_type", "union_id"),
    ("department_id_type", "open_department_id"),
];

/// A page of a list.
#[derive(Debug)]
pub(in super::super) struct Page {
    pub(in super::super) items: Vec<Value>,
    /// The token of the next page, if there is one.
    pub(in super::super) next: Option<String>,
}

/// What the application may see if that is not the whole tenant: departments with those below, and further
/// people.
#[derive(Debug, Default)]
pub(in super::super) struct ContactScope {
    pub(in super::super) departments: Vec<String>,
    pub(in super::super) people: Vec<String>,
    /// The token of the next page, if there is one.
    pub(in super::super) next: Option<String>,
}

impl Api {
    /// A person; <https://open.feishu.cn/document/server-docs/contact-v3/user/get>.
    pub(in super::super) async fn user(&self, union_id: &str) -> Result<Object, ApiError> {
        let call = "contact/users";
        let mut data = self
            .call(ApiCall {
                call: OutboundCall::repeatable(call),
                path: &["contact", "v3", "users", union_id],
                query: &ID_TYPES,
            })
            .await?;
        object(&mut data, "user").ok_or_else(|| incomplete(call, "`user`"))
    }

    /// Several people, at most [`BATCH_MAX`];
    /// <https://open.feishu.cn/document/server-docs/contact-v3/user/batch>.
    pub(in super::super) async fn users(
        &self,
        union_ids: &[String],
    ) -> Result<Vec<Value>, ApiError> {
        let mut query = ID_TYPES.to_vec();
        query.extend(union_ids.iter().map(|id| ("user_ids", id.as_str())));
        let page = self
            .page(ApiCall {
                call: OutboundCall::repeatable("contact/users/batch"),
                path: &["contact", "v3", "users", "batch"],
                query: &query,
            })
            .await?;
        Ok(page.items)
    }

    /// A page of the people who belong to a department directly;
    /// <https://open.feishu.cn/document/server-docs/contact-v3/user/find_by_department>.
    pub(in super::super) async fn members(
        &self,
        department: &str,
        page_token: Option<&str>,
    ) -> Result<Page, ApiError> {
        let mut query = page_query(page_token);
        query.push(("department_id", department));
        self.page(ApiCall {
            call: OutboundCall::repeatable("contact/users/find_by_department"),
            path: &["contact", "v3", "users", "find_by_department"],
            query: &query,
        })
        .await
    }

    /// A department; <https://open.feishu.cn/document/server-docs/contact-v3/department/get>.
    pub(in super::super) async fn department(&self, id: &str) -> Result<Object, ApiError> {
        let call = "contact/departments";
        let mut data = self
            .call(ApiCall {
                call: OutboundCall::repeatable(call),
                path: &["contact", "v3", "departments", id],
                query: &ID_TYPES,
            })
            .await?;
        object(&mut data, "department").ok_or_else(|| incomplete(call, "`department`"))
    }

    /// A page of the departments below another one, at any depth;
    /// <https://open.feishu.cn/document/server-docs/contact-v3/department/children>.
    pub(in super::super) async fn departments_below(
        &self,
        id: &str,
        page_token: Option<&str>,
    ) -> Result<Page, ApiError> {
        let mut query = page_query(page_token);
        query.push(("fetch_child", "true"));
        self.page(ApiCall {
            call: OutboundCall::repeatable("contact/departments/children"),
            path: &["contact", "v3", "departments", id, "children"],
            query: &query,
        })
        .await
    }

    /// A page of what the application may see of the contacts;
    /// <https://open.feishu.cn/document/server-docs/contact-v3/scope/list>.
    pub(in super::super) async fn contact_scope(
        &self,
        page_token: Option<&str>,
    ) -> Result<ContactScope, ApiError> {
        let query = page_query(page_token);
        let mut data = self
            .call(ApiCall {
                call: OutboundCall::repeatable("contact/scopes"),
                path: &["contact", "v3", "scopes"],
                query: &query,
            })
            .await?;
        let mut ids = |name| {
            let list = data.remove(name);
            let list = list.as_ref().and_then(Value::as_array);
            let ids = list.into_iter().flatten().filter_map(Value::as_str);
            ids.map(str::to_owned).collect()
        };
        Ok(ContactScope {
            departments: ids("department_ids"),
            people: ids("user_ids"),
            next: next_page(&data),
        })
    }

    async fn page(&self, call: ApiCall<'_>) -> Result<Page, ApiError> {
        let mut data = self.call(call).await?;
        let items = match data.remove("items") {
            Some(Value::Array(items)) => items,
            // Lark leaves out an empty list.
            _ => Vec::new(),
        };
        let next = next_page(&data);
        Ok(Page { items, next })
    }
}

fn page_query(page_token: Option<&str>) -> Vec<(&str, &str)> {
    let mut query = ID_TYPES.to_vec();
    query.push(("page_size", PAGE_SIZE));
    query.extend(page_token.map(|token| ("page_token", token)));
    query
}

fn next_page(data: &Object) -> Option<String> {
    let has_more = data.get("has_more").and_then(Value::as_bool);
    let token = data.get("page_token").and_then(Value::as_str);
    let token = token.filter(|token| !token.is_empty() && has_more == Some(true));
    token.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_if_lark_says_so() {
        let next = |value: Value| next_page(value.as_object().unwrap());
        let more = json!({ "has_more": true, "page_token": "p2" });
        assert_eq!(next(more).as_deref(), Some("p2"));
        for last in [
            json!({ "has_more": false, "page_token": "p2" }),
            json!({ "has_more": true, "page_token": "" }),
            json!({ "page_token": "p2" }),
            json!({}),
        ] {
            assert_eq!(next(last.clone()), None, "{last}");
        }
    }
}
