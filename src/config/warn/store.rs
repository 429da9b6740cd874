//! Warnings about the connection to the store.

use super::Warnings;
use crate::setting::KeyPath;
use crate::store::StoreUrl;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let store = &warnings.config.store;
    let StoreUrl::Postgres(url) = &store.url else {
        if store.password.is_some() {
            let text = text!(
                "a SQLite store has no password: remove it",
                "SQLite 数据库没有密码：请删除它"
            );
            warnings.add(&KeyPath::of(["store", "password"]), text);
        }
        return;
    };
    let key_path = KeyPath::of(["store", "url"]);
    if url.has_password() {
        let text = text!(
            "the password stands in the configuration itself, and so in its backups: write \
                    password = {{ file = \"...\" }} or {{ env = \"...\" }} in [store]",
            "密码直接写在配置里，也就进了它的备份：请在 [store] 中写 password = {{ file = \"...\" }} 或 {{ env = \"...\" }}"
        );
        warnings.add(&key_path, text);
    }
    if url.is_exposed() {
        let text = text!(
            "anyone on the network between menshen and PostgreSQL can read sessions or pose as the \
                    database: remove `sslmode`, or write sslmode=verify-full",
            "menshen 与 PostgreSQL 之间网络上的任何人都能读取会话或冒充数据库：请删除 `sslmode`，或写 sslmode=verify-full"
        );
        warnings.add(&key_path, text);
    }
}
