//! `check --online`: compares the settings with the developer console.

use super::api::CodeGrant;
use super::departments::{ContactRange, DepartmentTree, Listing, ROOT};
use super::errors::ApiError;
use super::person::{self, Status};
use super::{ConnectorError, Finding, Lark};
use crate::keys;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// The events that menshen acts on.
const EVENTS: &str = "contact.user.deleted_v3, contact.user.updated_v3, contact.user.created_v3, \
                      contact.department.created_v3, contact.department.updated_v3, \
                      contact.department.deleted_v3 and contact.scope.updated_v3";

/// Checks everything that needs no login.
pub(super) async fn examine(lark: &Lark) -> Vec<Finding> {
    let mut findings = instructions(lark);
    if let Err(error) = lark.api.check_secret().await {
        findings.push(failed(
            lark,
            text!("app_id and app_secret", "app_id 和 app_secret"),
            error,
        ));
        return findings;
    }
    findings.push(Finding::good(text!(
        "Lark accepts app_id and app_secret",
        "飞书接受 app_id 和 app_secret"
    )));
    findings.push(token_endpoint(lark).await);
    findings.extend(tenant(lark).await);
    if lark.uses_contacts {
        findings.extend(contacts(lark).await);
    }
    findings
}

/// What must be entered in the console.
fn instructions(lark: &Lark) -> Vec<Finding> {
    let mut findings = vec![Finding::good(text!(
        "enter {} at 安全设置 (Security Settings) → 重定向 URL (Redirect URLs), exactly as shown",
        "请在 安全设置 → 重定向 URL 中填写 {}，一字不差",
        lark.callback
    ))];
    if lark.events.is_some() {
        findings.push(Finding::good(text!(
            "enter {} at 事件与回调 (Events & Callbacks) → 请求地址 (Request URL), and add the events \
             {EVENTS}",
            "请在 事件与回调 → 请求地址 中填写 {}，并添加事件 {EVENTS}",
            lark.events_url
        )));
    }
    findings
}

/// Redeems a random code: an endpoint that accepts the application refuses only the code.
async fn token_endpoint(lark: &Lark) -> Finding {
    let random = keys::random::<32>();
    let code: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let grant = CodeGrant {
        code: &code,
        redirect_uri: Some(lark.callback.as_str()),
        verifier: Some(&code),
    };
    match lark.api.redeem(&grant).await {
        Ok(_) => Finding::bad(text!(
            "token_url accepts an invalid code: it is not the token endpoint",
            "token_url 接受了无效的授权码：它不是令牌端点"
        )),
        Err(error) => match lark.connector_error(error) {
            ConnectorError::CodeRejected(_) => Finding::good(text!(
                "token_url accepts the application, and refuses an invalid code",
                "token_url 接受该应用，并拒绝无效的授权码"
            )),
            error => bad(Text::same("token_url"), &error),
        },
    }
}

/// Whose people may sign in. If the settings say so, Lark need not confirm it.
async fn tenant(lark: &Lark) -> Option<Finding> {
    match (lark.api.tenant().await, lark.tenant.known()) {
        (Ok(tenant), Some(configured)) if lark.has_tenant_setting && tenant.key != *configured => {
            Some(Finding::bad(text!(
                "tenant_key is {configured}, but the application belongs to {} ({})",
                "tenant_key 是 {configured}，但应用属于 {}（{}）",
                tenant.key,
                tenant.name
            )))
        }
        (Ok(tenant), _) => Some(Finding::good(text!(
            "people of {} ({}) may sign in",
            "{}（{}）的人员可以登录",
            tenant.name,
            tenant.key
        ))),
        (Err(_), Some(_)) if lark.has_tenant_setting => None,
        (Err(error), _) => {
            let what = text!(
                "the tenant is not known, so nobody can sign in: set tenant_key, or",
                "租户未知，所以没有人能登录：请设置 tenant_key，或者解决下面的问题"
            );
            Some(failed(lark, what, error))
        }
    }
}

async fn contacts(lark: &Lark) -> Vec<Finding> {
    let listing = match Listing::load(&lark.api).await {
        Ok(listing) => listing,
        Err(error) => return vec![failed(lark, Text::same("contacts"), error)],
    };
    let mut findings = vec![departments(&listing.tree, &listing.range)];
    findings.extend(statuses(lark, &listing.tree).await);
    findings
}

fn departments(tree: &DepartmentTree, range: &ContactRange) -> Finding {
    let (all, unnamed) = (tree.len(), tree.unnamed_count());
    if unnamed > 0 {
        return Finding::bad(text!(
            "{unnamed} of {all} departments come without a name: give the application the permission \
             contact:department.base:readonly, and publish a version",
            "{all} 个部门中有 {unnamed} 个没有名称：请给应用加上权限 \
             contact:department.base:readonly，并发布版本"
        ));
    }
    match range {
        ContactRange::Everything => Finding::good(text!(
            "the application sees the whole tenant, with {all} departments",
            "应用能看到整个租户，共 {all} 个部门"
        )),
        ContactRange::Part { people } if all == 0 && people.is_empty() => Finding::bad(text!(
            "the application sees nobody: widen 权限管理 → 数据权限 → 通讯录权限范围 (Contacts data \
             scope), and publish a version",
            "应用看不到任何人：请扩大 权限管理 → 数据权限 → 通讯录权限范围，并发布版本"
        )),
        ContactRange::Part { .. } => Finding::good(text!(
            "the application sees {all} departments, and not the whole tenant",
            "应用能看到 {all} 个部门，不是整个租户"
        )),
    }
}

/// Whether people come with their status, as far as there are people.
async fn statuses(lark: &Lark, tree: &DepartmentTree) -> Option<Finding> {
    let departments = tree.departments();
    let ids = departments.iter().map(|one| one.id.as_str());
    for id in ids.filter(|id| *id != ROOT).take(3) {
        let page = match lark.api.members(id, None).await {
            Ok(page) => page,
            Err(error) => return Some(failed(lark, Text::same("contacts"), error)),
        };
        let people = page.items.iter().filter_map(serde_json::Value::as_object);
        let Some(first) = people.map(person::status).next() else {
            continue;
        };
        return Some(match first {
            Status::Missing => Finding::bad(text!(
                "people come without their status, so nobody can sign in: {}",
                "人员没有状态信息，所以没有人能登录：{:#}",
                person::status_remedy()
            )),
            Status::Active | Status::Inactive(_) => {
                Finding::good(text!("people come with their status", "人员带有状态信息"))
            }
        });
    }
    None
}

fn failed(lark: &Lark, what: Text, error: ApiError) -> Finding {
    bad(what, &lark.connector_error(error))
}

fn bad(what: Text, error: &ConnectorError) -> Finding {
    Finding::bad(match error {
        ConnectorError::Misconfigured { remedy, source } => {
            text!(
                "{what}: {remedy}: {source}",
                "{what:#}：{remedy:#}：{source:#}"
            )
        }
        other => text!("{what}: {}", "{what:#}：{:#}", error_chain(other)),
    })
}
