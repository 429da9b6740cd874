//! Warns when managed connectors may contact metadata services of clouds.

use super::Warnings;
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    if warnings.config.managed.allow_metadata_addresses {
        let text = text!(
            "whoever may change connectors can read what a cloud gives to this machine, such as its credentials: \
             remove it, or set the connector that needs it in the file",
            "能修改认证源的人可以读取云平台提供给这台机器的数据，例如它的凭据：请删除这一行，或把需要它的认证源写到配置文件里"
        );
        warnings.add(&KeyPath::of(["managed", "allow_metadata_addresses"]), text);
    }
    if warnings.config.managed.allow_local_sockets {
        let text = text!(
            "whoever may change connectors can talk to every socket of this machine that the user of menshen reaches: \
             remove it, or set the connector that needs it in the file",
            "能修改认证源的人可以访问 menshen 的用户在这台机器上能连接的所有套接字：请删除这一行，或把需要它的认证源写到配置文件里"
        );
        warnings.add(&KeyPath::of(["managed", "allow_local_sockets"]), text);
    }
}
