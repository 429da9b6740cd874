//! What was meant: slips of those who know other programs are named with what to write instead.

use super::remedies::{assert_says, help};

#[test]
fn an_internal_listener_without_address_is_suggested_loopback() {
    let place = (4, 10);
    for table in ["[admin]\nlisten", "[console]\nlisten"] {
        for (address, english, chinese) in [
            (
                "9180",
                (
                    "the address before the port is missing",
                    "write \"127.0.0.1:9180\"",
                ),
                ("端口之前缺少地址", "请写 \"127.0.0.1:9180\""),
            ),
            (
                "localhost:9180",
                (
                    "an address to listen on is no name",
                    "write \"127.0.0.1:9180\"",
                ),
                ("监听地址不能写名字", "请写 \"127.0.0.1:9180\""),
            ),
            (
                "127.0.0.1:91800",
                ("91800 is no port", "at most 65535"),
                ("91800 不是端口", "最大 65535"),
            ),
        ] {
            let more = format!("{table} = '{address}'\n");
            assert_says(&more, place, english, chinese);
        }
    }
    let grpc = "trusted_proxies = ['127.0.0.1']\n[ext_authz]\ngrpc_listen = ':9181'\n";
    assert_eq!(help(grpc), "write \"127.0.0.1:9181\"");
    assert_eq!(help("[admin]\nlisten = '::1'\n"), "write \"[::1]:9180\"");
    for more in ["[admin]\nlisten = 'x'\n", "[admin]\nlisten = '*'\n"] {
        let wanted = "an address and a port, such as \"127.0.0.1:9180\", or \"unix:/path\"";
        assert_eq!(help(more), wanted);
    }
}
