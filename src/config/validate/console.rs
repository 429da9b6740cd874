//! Validates `[console]`.

use super::Problems;
use crate::expression::Scope;
use crate::setting::KeyPath;
use crate::site::ConsoleConfig;
use crate::text;

/// The port of the documentation's examples.
const EXAMPLE_PORT: u16 = 9443;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let Some(console) = &problems.config.console else {
        return;
    };
    let table = KeyPath::of(["console"]);
    for (key, rule) in [("allow", &console.allow), ("view", &console.view)] {
        let Some(rule) = rule else { continue };
        let key_path = table.clone().key(key);
        problems.check_expression(&key_path, rule, Scope::User);
        if console.external_url.is_none() {
            let message = text!(
                "{key} needs external_url: people return there after their login",
                "设置 {key} 时必须有 external_url：登录后要回到那里"
            );
            let help = text!(
                "set external_url to what browsers type, such as \"https://menshen.corp.example:9443\"",
                "请把 external_url 写成浏览器里的地址，例如 \"https://menshen.corp.example:9443\""
            );
            problems.add_at_key(&key_path, message, help);
        }
    }
    if let Some(url) = &console.external_url {
        let key_path = table.clone().key("external_url");
        problems.require_origin(&key_path, url);
        if problems.is_complete("server")
            && url.origin() == problems.config.server.external_url.url().origin()
        {
            let message = text!(
                "the console has the origin of [server] external_url",
                "控制台与 [server] external_url 同源"
            );
            let help = text!(
                "use another host or port: scripts of an application of the same origin could use the \
                        console",
                "请换一个主机名或端口：同源应用里的脚本可以操作控制台"
            );
            problems.add_at_value(&key_path, message, help);
        }
    }
    if !console.local && console.allow.is_none() && console.view.is_none() {
        let help = text!(
            "set allow or view, or remove local = false",
            "请设置 allow 或 view，或删除 local = false"
        );
        let key_path = table.clone().key("local");
        problems.add_at_value(
            &key_path,
            text!("nobody could sign in to the console", "没有人能登录控制台"),
            help,
        );
    }
    problems.require_positive(
        &table,
        &[
            ("lifetime", console.lifetime),
            ("idle_timeout", console.idle_timeout),
        ],
    );
    validate_listener(problems, console);
}

/// The console needs an address, or the listener of `[admin]`.
fn validate_listener(problems: &mut Problems<'_>, console: &ConsoleConfig) {
    let table = KeyPath::of(["console"]);
    match &console.listen {
        Some(listen) => {
            problems.internal_address(&table.key("listen"), listen, EXAMPLE_PORT);
        }
        None if problems.config.admin.is_none() && problems.is_complete("admin") => {
            let help = text!(
                "add [admin], or set listen to an address of its own",
                "请加上 [admin]，或用 listen 单独指定监听地址"
            );
            problems.add_at_key(
                &table,
                text!("the console has no listener", "控制台没有监听地址"),
                help,
            );
        }
        None => {}
    }
}
