//! Validates `[store]`.

use super::Problems;
use crate::setting::KeyPath;
use crate::store::StoreUrl;
use crate::text;

/// One connection for a revocation that waits, and one for the reads that must not wait for it.
const CONNECTIONS_MIN: u32 = 2;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let store = &problems.config.store;
    if store.connections_max < CONNECTIONS_MIN {
        let message = text!(
            "connections_max must be at least {CONNECTIONS_MIN}",
            "connections_max 至少为 {CONNECTIONS_MIN}"
        );
        let key_path = KeyPath::of(["store", "connections_max"]);
        problems.add_at_value(
            &key_path,
            message,
            text!("remove it for the default", "删除它就用默认值"),
        );
    }
    if let StoreUrl::Postgres(url) = &store.url
        && url.has_password()
        && store.password.is_some()
    {
        let key_path = KeyPath::of(["store", "password"]);
        let help = text!("remove the one in url", "请删除 url 里的那个");
        problems.add_at_key(
            &key_path,
            text!("the store has two passwords", "数据库写了两个密码"),
            help,
        );
    }
}
