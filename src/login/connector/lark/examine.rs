//! `check --online`: compares the settings with the developer console.

use super::api::CodeGrant;
use super::departments::{ContactRange, DepartmentTree, Listing, ROOT};
use super::errors::ApiError;
use super::person::{self, Status};
use super::{ConnectorError, Finding, Lark};
use crate::keys;
use crate::telemetry::error_chain;

/// The events that menshen acts on.
const EVENTS: &str = "contact.user.deleted_v3, contact.user.updated_v3, contact.user.created_v3, \
                      contact.department.created_v3, contact.department.updated_v3, \
                      contact.department.deleted_v3 and contact.scope.updated_v3";

/// Checks everything that needs no login.
pub(super) async fn examine(lark: &Lark) -> Vec<Finding> {
    let mut findings = instructions(lark);
    if let Err(error) = lark.api.check_secret().await {
        findings.push(failed(lark, "app_id and app_secret", error));
        return findings;
    }
    findings.push(Finding::good("Lark accepts app_id and app_secret"));
    findings.push(token_endpoint(lark).await);
    findings.extend(tenant(lark).await);
    if lark.uses_contacts {
        findings.extend(contacts(lark).await);
    }
    findings
}

/// What must be entered in the console.
fn instructions(lark: &Lark) -> Vec<Finding> {
    let mut findings = vec![Finding::good(format!(
        "enter {} at 安全设置 (Security Settings) → 重定向 URL (Redirect URLs), exactly as shown",
        lark.callback
    ))];
    if lark.events.is_some() {
        findings.push(Finding::good(format!(
            "enter {} at 事件与回调 (Events & Callbacks) → 请求地址 (Request URL), and add the events {EVENTS}",
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
        Ok(_) => Finding::bad("token_url accepts an invalid code: it is not the token endpoint"),
        Err(error) => match lark.connector_error(error) {
            ConnectorError::CodeRejected(_) => {
                Finding::good("token_url accepts the application, and refuses an invalid code")
            }
            error => bad("token_url", &error),
        },
    }
}

/// Whose people may sign in. If the settings say so, Lark need not confirm it.
async fn tenant(lark: &Lark) -> Option<Finding> {
    match (lark.api.tenant().await, lark.tenant.known()) {
        (Ok(tenant), Some(configured)) if lark.has_tenant_setting && tenant.key != *configured => {
            Some(Finding::bad(format!(
                "tenant_key is {configured}, but the application belongs to {} ({})",
                tenant.key, tenant.name
            )))
        }
        (Ok(tenant), _) => Some(Finding::good(format!(
            "people of {} ({}) may sign in",
            tenant.name, tenant.key
        ))),
        (Err(_), Some(_)) if lark.has_tenant_setting => None,
        (Err(error), _) => {
            let what = "the tenant is not known, so nobody can sign in: set tenant_key, or";
            Some(failed(lark, what, error))
        }
    }
}

async fn contacts(lark: &Lark) -> Vec<Finding> {
    let listing = match Listing::load(&lark.api).await {
        Ok(listing) => listing,
        Err(error) => return vec![failed(lark, "contacts", error)],
    };
    let mut findings = vec![departments(&listing.tree, &listing.range)];
    findings.extend(statuses(lark, &listing.tree).await);
    findings
}

fn departments(tree: &DepartmentTree, range: &ContactRange) -> Finding {
    let (all, unnamed) = (tree.len(), tree.unnamed_count());
    if unnamed > 0 {
        return Finding::bad(format!(
            "{unnamed} of {all} departments come without a name: give the application the permission \
             contact:department.base:readonly, and publish a version"
        ));
    }
    match range {
        ContactRange::Everything => Finding::good(format!(
            "the application sees the whole tenant, with {all} departments"
        )),
        ContactRange::Part { people } if all == 0 && people.is_empty() => Finding::bad(
            "the application sees nobody: widen 权限管理 → 数据权限 → 通讯录权限范围 (Contacts data scope), and \
             publish a version",
        ),
        ContactRange::Part { .. } => Finding::good(format!(
            "the application sees {all} departments, and not the whole tenant"
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
            Err(error) => return Some(failed(lark, "contacts", error)),
        };
        let people = page.items.iter().filter_map(serde_json::Value::as_object);
        let Some(first) = people.map(person::status).next() else {
            continue;
        };
        return Some(match first {
            Status::Missing => Finding::bad(format!(
                "people come without their status, so nobody can sign in: {}",
                person::status_remedy()
            )),
            Status::Active | Status::Inactive(_) => Finding::good("people come with their status"),
        });
    }
    None
}

fn failed(lark: &Lark, what: &str, error: ApiError) -> Finding {
    bad(what, &lark.connector_error(error))
}

fn bad(what: &str, error: &ConnectorError) -> Finding {
    Finding::bad(match error {
        ConnectorError::Misconfigured { remedy, source } => {
            format!("{what}: {}: {source}", remedy.for_operator())
        }
        other => format!("{what}: {}", error_chain(other)),
    })
}
