//! The kinds of HENGSHI: one file each, with both directions between its fields and `[connector.ID]`.

use serde_json::{Map, Value};

use super::every_kind::Fields;
use super::form::{Form, SecretField};
use super::kind::HengshiKind;
use super::table::{Draft, Rest, find};

mod cas;
mod custom;
mod dingtalk;
mod jwt_param;
mod lark;
mod ldap;
mod oauth2;
mod saml2;
mod wechat_work;
mod yunzhijia;

pub(super) use jwt_param::{is_shared, read_algorithm, secret_bytes};

/// What the fields of a request are read with.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    /// The table in force with markers for secrets; `None` if there is no such connector yet.
    pub(super) table: Option<&'a Map<String, Value>>,
    /// The member `menshen` of the request.
    pub(super) menshen: &'a Map<String, Value>,
}

impl Before<'_> {
    /// Whether a secret is kept at this path.
    fn keeps(&self, path: &str) -> bool {
        self.table.is_some_and(|table| find(table, path).is_some())
    }

    /// The value that `menshen` gives to a key.
    fn in_menshen(&self, path: &str) -> Option<&Value> {
        find(self.menshen, path)
    }
}

/// Reads a secret that must be there after the request.
fn required_secret(
    form: &mut Form<'_>,
    draft: &mut Draft,
    before: Before<'_>,
    (field, path): (&'static str, &'static str),
) {
    let problems = form.problems.len();
    let secret = form.secret(field);
    let is_missing = match secret {
        SecretField::New(_) | SecretField::Marker => false,
        SecretField::Removed => true,
        SecretField::Absent => !before.keeps(path) && before.in_menshen(path).is_none(),
    };
    if is_missing && form.problems.len() == problems {
        form.missing(field);
    }
    draft.say_secret(field, path, secret);
}

/// The fields of a request as a draft of the table.
pub(super) fn read(kind: HengshiKind, form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    match kind {
        HengshiKind::Hengshi => {}
        HengshiKind::Ldap => ldap::read(form, draft, before),
        HengshiKind::Cas => cas::read(form, draft),
        HengshiKind::Saml2 => saml2::read(form, draft),
        HengshiKind::OAuth2 => oauth2::read(form, draft, before),
        HengshiKind::DingTalk => dingtalk::read(form, draft, before),
        HengshiKind::WechatWork => wechat_work::read(form, draft, before),
        HengshiKind::Ctr | HengshiKind::Qince => custom::read(form, draft, before, kind),
        HengshiKind::Yunzhijia => yunzhijia::read(form, draft, before),
        HengshiKind::JwtParam => jwt_param::read(form, draft, before),
        HengshiKind::Lark => lark::read(form, draft, before),
    }
}

/// The fields of a table.
pub(super) fn show(kind: HengshiKind, rest: &mut Rest, fields: &mut Fields) {
    match kind {
        HengshiKind::Hengshi => {}
        HengshiKind::Ldap => ldap::show(rest, fields),
        HengshiKind::Cas => cas::show(rest, fields),
        HengshiKind::Saml2 => saml2::show(rest, fields),
        HengshiKind::OAuth2 => oauth2::show(rest, fields),
        HengshiKind::DingTalk => dingtalk::show(rest, fields),
        HengshiKind::WechatWork => wechat_work::show(rest, fields),
        HengshiKind::Ctr | HengshiKind::Qince => custom::show(rest, fields),
        HengshiKind::Yunzhijia => yunzhijia::show(rest, fields),
        HengshiKind::JwtParam => jwt_param::show(rest, fields),
        HengshiKind::Lark => lark::show(rest, fields),
    }
}

/// The fields of a kind that are secrets.
pub(super) fn secrets(kind: HengshiKind) -> &'static [&'static str] {
    match kind {
        HengshiKind::Ldap => &["bindPassword"],
        HengshiKind::Saml2 => &["privateKey"],
        HengshiKind::OAuth2 | HengshiKind::WechatWork => &["secret"],
        HengshiKind::DingTalk => &["appSecret", "ssoSecret"],
        HengshiKind::Yunzhijia | HengshiKind::Lark => &["appSecret"],
        // The last two are never kept.
        HengshiKind::JwtParam => &["checkSignKey", "decryptKey", "signKey", "encryptKey"],
        HengshiKind::Hengshi | HengshiKind::Cas | HengshiKind::Ctr | HengshiKind::Qince => &[],
    }
}
