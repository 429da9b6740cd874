//! Connectors that keep their people in the store, where nobody can add them.

use super::Warnings;
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let admin = config.admin.as_ref();
    if admin.is_some_and(|admin| admin.find_token(None, true).is_some()) {
        return;
    }
    for (id, connector) in &config.connector {
        let mut kinds = connector.configured_kinds();
        if let Some(kind) = kinds.find(|kind| kind.features().keeps_people) {
            let text = text!(
                "its people are kept in the store, but nobody can add or change them: give [admin] \
                        a token, or name a file in `people`",
                "它的人员保存在数据库中，但没有人能添加或修改：请给 [admin] 一个令牌，或在 `people` 中写一个文件"
            );
            let table = KeyPath::of(["connector", id.as_str(), kind.name()]);
            warnings.add(&table, text);
        }
    }
}
