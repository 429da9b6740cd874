//! Settings that all kinds of connectors have, and `[login]` about connectors.

use super::Warnings;
use crate::login::connector::{AdmissionConfig, ConnectorConfig};
use crate::setting::KeyPath;
use crate::store::ConnectorId;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    warn_about_connectors(warnings);
    warn_about_login_choices(warnings);
}

fn warn_about_connectors(warnings: &mut Warnings<'_>) {
    for (id, connector) in &warnings.config.connector {
        let key_path = KeyPath::of(["connector", id.as_str()]);
        if !connector.link_by.is_empty() {
            let text = text!(
                "whoever the source reports with the mobile number or email address of an account \
                        gets that account: the source must verify both",
                "认证源报出某账号的手机号或邮箱，就能得到那个账号：认证源必须核实这两项"
            );
            warnings.add(&key_path.clone().key("link_by"), text);
        }
        if connector.join.is_some() && connector.admission == AdmissionConfig::Existing {
            let text = text!(
                "nobody gets this: with admission = \"existing\" this connector creates no account",
                "没有人会得到它：admission = \"existing\" 时，这个认证源不创建账号"
            );
            warnings.add(&key_path.clone().key("join"), text);
        }
        warn_about_shared_callback(warnings, &key_path, id, connector);
        for (relative, text) in connector
            .configured_kinds()
            .flat_map(|kind| kind.warnings())
        {
            warnings.add(&key_path.clone().join(relative), text);
        }
    }
}

/// Warns of two connectors with the same callback: a hostile provider can send the browser there with a
/// code of the other provider (mix-up attack, RFC 9700 §4.4).
fn warn_about_shared_callback<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    id: &ConnectorId,
    connector: &'a ConnectorConfig,
) {
    let Some(callback) = &connector.callback else {
        return;
    };
    let mut connectors = warnings.config.connector.iter();
    let shares = |config: &ConnectorConfig| config.callback.as_ref() == Some(callback);
    let other = connectors.find(|(other, config)| *other != id && shares(config));
    if let Some((other, _)) = other {
        let text = text!(
            "`{other}` has the same callback: a hostile provider can obtain codes of the other one, \
             unless that sends `iss` in its responses (RFC 9207); share a callback only among \
             providers that you trust",
            "`{other}` 的回调地址相同：恶意的认证源可以得到另一个的授权码，除非那个认证源在响应中带 `iss`（RFC 9207）；请只在信任的认证源之间共用回调地址"
        );
        warnings.add(&key_path.clone().key("callback"), text);
    }
}

/// Warns of a default or an order that names connectors which the document does not have.
fn warn_about_login_choices(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let text = |id: &ConnectorId| {
        text!(
            "the file has no connector `{id}`: it counts once it is made with the admin API",
            "文件中没有认证源 `{id}`：用管理 API 创建之后才生效"
        )
    };
    let default = config.login.default.iter();
    let default = default.map(|id| (KeyPath::of(["login", "default"]), id));
    let order = config.login.order.iter().enumerate();
    let order = order.map(|(index, id)| (KeyPath::of(["login", "order"]).item(index), id));
    for (key_path, id) in default.chain(order) {
        if !config.connector.contains_key(id) {
            warnings.add(&key_path, text(id));
        }
    }
}
