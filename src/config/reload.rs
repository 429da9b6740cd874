//! Changes of the configuration that a reload does not apply.

use super::Config;
use crate::door::ServerLimits;

/// The changed settings that are only read at the start of the process, by their names in the file.
pub(super) fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let settings = [
        ("[server] listen", old.server.listen != new.server.listen),
        (
            "[server.limits]",
            startup_limits(old) != startup_limits(new),
        ),
        // A reload replaces certificates, but it does not switch TLS on or off.
        (
            "[server.tls]",
            old.server.tls.is_some() != new.server.tls.is_some(),
        ),
        ("[admin]", old.admin != new.admin),
        (
            "[console] listen",
            console_listen(old) != console_listen(new),
        ),
        ("[ext_authz]", old.ext_authz != new.ext_authz),
        ("[store]", old.store != new.store),
        (
            "[session] cached_sessions_max",
            old.session.cached_sessions_max != new.session.cached_sessions_max,
        ),
        (
            "[session] store_outage_grace",
            old.session.store_outage_grace != new.session.store_outage_grace,
        ),
        ("[log]", old.log != new.log),
    ];
    settings
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
}

/// The listener of the console; `None`: it has none of its own.
fn console_listen(config: &Config) -> Option<&str> {
    let console = config.console.as_ref();
    console.and_then(|console| console.listen.as_deref())
}

/// The limits that are only read at the start of the process. A reload applies `count_by_address`.
fn startup_limits(config: &Config) -> ServerLimits {
    ServerLimits {
        count_by_address: Vec::new(),
        ..config.server.limits.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_with(more: &str) -> Config {
        let text = format!("[server]\nexternal_url = 'https://a.example'\n{more}");
        Config::parse(&text, "t").unwrap()
    }

    #[test]
    fn what_a_reload_cannot_apply_is_named() {
        let old = config_with("");
        let new = config_with("listen = ['127.0.0.1:1']\n[admin]\nlisten = '127.0.0.1:2'\n");
        assert_eq!(old.restart_needed(&new), ["[server] listen", "[admin]"]);
        let new = config_with("limits = { count_by_address = ['::/0'], streams_max = 7 }\n");
        assert_eq!(old.restart_needed(&new), ["[server.limits]"]);
        let with_ext_authz = "trusted_proxies = ['127.0.0.1']\n[ext_authz]\non_main = true\n";
        assert_eq!(
            old.restart_needed(&config_with(with_ext_authz)),
            ["[ext_authz]"]
        );
        let new = config_with("[store]\nurl = 'sqlite:///a'\n[session]\ncached_sessions_max = 7\n");
        assert_eq!(
            old.restart_needed(&new),
            ["[store]", "[session] cached_sessions_max"]
        );
    }

    #[test]
    fn what_a_reload_applies_is_not_named() {
        let old = config_with("");
        let new = config_with("prefix = '/oauth2'\n[session]\nlifetime = '3h'\n");
        assert!(old.restart_needed(&new).is_empty());
        let new = config_with("limits.count_by_address = ['fd00::/8']\n");
        assert!(old.restart_needed(&new).is_empty());
        assert!(
            old.restart_needed(&config_with("# the same, written otherwise\n"))
                .is_empty()
        );
    }
}
