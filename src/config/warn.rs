//! Warnings of `menshen check`: settings that are valid but weaken security or have no effect.

use std::fmt;
use std::net::SocketAddr;

use url::Url;

use super::Config;
use crate::login::connector::{AdmissionConfig, ConnectorConfig};
use crate::open_files::OpenFiles;
use crate::people::cookie::SameSiteConfig;
use crate::request::route::{AccessConfig, HostPattern, Preflight, RouteConfig, UpstreamUrl};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, is_loopback};
use crate::store::ConnectorId;
use crate::text;
use crate::wording::{Language, Text};

use super::TrustedProxy;

mod access_tokens;
mod check_headers;
mod console;
mod frames;
mod issuers;
mod limits;
mod local_people;
mod path_case;
mod public_paths;
mod self_written;
mod silent_logins;
mod store;

/// A warning about a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The path of the key, such as `route[0].preflight`.
    pub key: String,
    /// The consequence, and what to do instead.
    pub text: Text,
    /// The name of the configuration file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Warning {
    /// The warning with its place.
    pub fn in_language(&self, language: Language) -> String {
        let Self {
            key,
            text,
            file,
            line,
            column,
        } = self;
        let text = text.in_language(language);
        format!("{file}:{line}:{column}: {key}: {text}")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_language(Language::English))
    }
}

/// The warnings about the configuration itself, in the order of its text.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    warn_about_secrets(&mut warnings);
    warn_about_server(&mut warnings);
    limits::warn(&mut warnings);
    warn_about_admin(&mut warnings);
    console::warn(&mut warnings);
    warn_about_ext_authz(&mut warnings);
    warn_about_session(&mut warnings);
    warn_about_login_choices(&mut warnings);
    store::warn(&mut warnings);
    frames::warn(&mut warnings);
    warn_about_connectors(&mut warnings);
    self_written::warn(&mut warnings);
    local_people::warn(&mut warnings);
    issuers::warn(&mut warnings);
    warn_about_routes(&mut warnings);
    access_tokens::warn(&mut warnings);
    path_case::warn(&mut warnings);
    silent_logins::warn(&mut warnings);
    check_headers::warn(&mut warnings);
    warn_about_wildcard_hosts(&mut warnings);
    warnings.into_sorted()
}

struct Warnings<'a> {
    config: &'a Config,
    list: Vec<Warning>,
}

impl Warnings<'_> {
    fn into_sorted(mut self) -> Vec<Warning> {
        self.list
            .sort_by_key(|warning| (warning.line, warning.column));
        self.list
    }

    fn add(&mut self, key_path: &KeyPath<'_>, text: impl Into<Text>) {
        let source = &self.config.source;
        let (line, column) = source.line_column(source.value_span(key_path).start);
        self.list.push(Warning {
            key: key_path.to_string(),
            text: text.into(),
            file: source.name.to_string(),
            line,
            column,
        });
    }
}

fn warn_about_secrets(warnings: &mut Warnings<'_>) {
    for (key_path, secret) in warnings.config.secrets() {
        if matches!(secret, SecretSource::Literal(_)) {
            let text = text!(
                "the secret is in the configuration itself, and so in its backups: write \
                        {{ file = \"...\" }} or {{ env = \"...\" }}",
                "密钥直接写在配置里，也就进了它的备份：请写 {{ file = \"...\" }} 或 {{ env = \"...\" }}"
            );
            warnings.add(&key_path, text);
        }
    }
}

/// The warnings about files that the configuration names. Reads these files.
pub(super) fn file_warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    for (key_path, secret) in config.secrets() {
        if let Some(trimmed) = secret.trimmed_parts() {
            let trimmed = trimmed.text();
            let text = text!(
                "the file has {trimmed} around the secret, which menshen ignores: write the file without \
                 it, for example with printf",
                "文件中密钥前后有{trimmed:#}，menshen 会忽略：写文件时请不要带上，例如用 printf"
            );
            warnings.add(&key_path, text);
        }
    }
    for (id, connector) in &config.connector {
        let table = KeyPath::of(["connector", id.as_str()]);
        for (relative, text) in connector
            .configured_kinds()
            .flat_map(|kind| kind.file_warnings())
        {
            warnings.add(&table.clone().join(relative), text);
        }
    }
    warnings.into_sorted()
}

/// Settings that exceed the limits of the operating system for this process.
pub(super) fn system_warnings(config: &Config, files: OpenFiles) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    limits::open_files(&mut warnings, files);
    warnings.into_sorted()
}

fn warn_about_server(warnings: &mut Warnings<'_>) {
    let server = &warnings.config.server;
    let external = &server.external_url;
    let key_path = KeyPath::of(["server", "external_url"]);
    if !external.is_https() && !is_loopback(external.url()) {
        let text = text!(
            "plain http: an attacker in the network can steal sessions; use https",
            "明文 http：网络中的攻击者可以窃取会话；请用 https"
        );
        warnings.add(&key_path, text);
    }
    if external.is_https() && server.tls.is_none() && server.trusted_proxies.is_empty() {
        let text = text!(
            "browsers use https, but there is no [server.tls] and no trusted proxy that could \
                    terminate TLS: requests are treated as plain http; add one of them",
            "浏览器使用 https，但既没有 [server.tls]，也没有能终结 TLS 的可信代理：请求会按明文 http 处理；请加上其中一个"
        );
        warnings.add(&key_path, text);
    }
    for (index, proxy) in server.trusted_proxies.iter().enumerate() {
        let TrustedProxy::Network(network) = proxy else {
            continue;
        };
        if network.prefix_len() == 0 {
            let text = text!(
                "every client can forge its address, host and scheme; name only the proxies in \
                        front of menshen",
                "任何客户端都能伪造自己的地址、主机和协议；请只写 menshen 前面的代理"
            );
            warnings.add(
                &KeyPath::of(["server", "trusted_proxies"]).item(index),
                text,
            );
        }
    }
}

fn warn_about_admin(warnings: &mut Warnings<'_>) {
    let Some(admin) = &warnings.config.admin else {
        return;
    };
    if admin
        .listen
        .parse::<SocketAddr>()
        .is_ok_and(|address| !address.ip().is_loopback())
    {
        let text = text!(
            "other machines can reach metrics, health and the admin API in plain http: block \
                    them with a firewall",
            "其他机器可以用明文 http 访问指标、健康检查和管理接口：请用防火墙封住"
        );
        warnings.add(&KeyPath::of(["admin", "listen"]), text);
    }
    for (index, token) in admin.tokens.iter().enumerate() {
        let connectors = token.broker.iter().flatten();
        let connectors: Vec<_> = connectors.map(ConnectorId::as_str).collect();
        if !connectors.is_empty() {
            let text = text!(
                "whoever has this token can do at the source of {} what the application may do: give the \
                 application no more rights there than its programs need",
                "拿到这个令牌的人，可以在 {} 的来源处做该应用能做的一切：请不要在那里给应用多余的权限",
                connectors.join(" and of ")
            );
            let key_path = KeyPath::of(["admin", "tokens"]).item(index).key("broker");
            warnings.add(&key_path, text);
        }
    }
}

fn warn_about_ext_authz(warnings: &mut Warnings<'_>) {
    let listen = warnings.config.ext_authz.as_ref();
    let listen = listen.and_then(|ext_authz| ext_authz.grpc_listen.as_deref());
    let address = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let text = text!(
            "the requests of your proxy hold session cookies and use plain HTTP/2: keep them in \
                    a network that you trust",
            "代理的请求带有会话 Cookie，走明文 HTTP/2：请只在可信的网络中使用"
        );
        warnings.add(&KeyPath::of(["ext_authz", "grpc_listen"]), text);
    }
}

fn warn_about_session(warnings: &mut Warnings<'_>) {
    let session = &warnings.config.session;
    if let Some(domain) = &session.cookie_domain {
        let text = text!(
            "every host below {domain} receives the session cookie and can use it",
            "{domain} 以下的所有主机都会收到会话 Cookie，并能使用它"
        );
        warnings.add(&KeyPath::of(["session", "cookie_domain"]), text);
    }
    if session.cookie_same_site == SameSiteConfig::None {
        let text = match session.frame_ancestors.is_empty() {
            true => {
                text!(
                    "pages of other sites can embed and call your applications with the session of the \
                 visitor: the applications need protection against forged requests (CSRF); \
                 frame_ancestors limits the sites in whose frames people can sign in",
                    "别的网站的页面可以带着访问者的会话嵌入和调用你们的应用：应用需要防御跨站请求伪造（CSRF）；frame_ancestors 可以限制能在哪些网站的框架中登录"
                )
            }
            false => {
                text!(
                    "pages of frame_ancestors, and in browsers without partitioned cookies pages of every \
                 site, can embed and call your applications with the session of the visitor: the \
                 applications need protection against forged requests (CSRF)",
                    "frame_ancestors 中的页面（在不支持分区 Cookie 的浏览器里则是任何网站的页面）可以带着访问者的会话嵌入和调用你们的应用：应用需要防御跨站请求伪造（CSRF）"
                )
            }
        };
        warnings.add(&KeyPath::of(["session", "cookie_same_site"]), text);
    }
}

fn warn_about_connectors(warnings: &mut Warnings<'_>) {
    for (id, connector) in &warnings.config.connector {
        let key_path = KeyPath::of(["connector", id.as_str()]);
        if !connector.link_by.is_empty() {
            let text = text!(
                "whoever the source reports with the mobile number or email address of an account \
                        gets that account: the source must verify both",
                "来源报出某账号的手机号或邮箱，就能得到那个账号：来源必须核实这两项"
            );
            warnings.add(&key_path.clone().key("link_by"), text);
        }
        if connector.join.is_some() && connector.admission == AdmissionConfig::Existing {
            let text = text!(
                "nobody gets this: with admission = \"existing\" this connector creates no account",
                "没有人会得到它：admission = \"existing\" 时，这个连接器不创建账号"
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
            "`{other}` 的回调地址相同：恶意的来源可以得到另一个的授权码，除非那个来源在响应中带 `iss`（RFC 9207）；请只在信任的来源之间共用回调地址"
        );
        warnings.add(&key_path.clone().key("callback"), text);
    }
}

fn warn_about_routes(warnings: &mut Warnings<'_>) {
    if warnings.config.route.is_empty() {
        warnings.add(
            &KeyPath::of(["route"]),
            text!(
                "there is no [[route]]: every request gets 404",
                "没有 [[route]]：所有请求都得到 404"
            ),
        );
    }
    let routes = &warnings.config.route;
    // If another proxy uses the check endpoints, no route needs an upstream.
    let serves_only_checks = !warnings.config.server.trusted_proxies.is_empty()
        && routes.iter().all(|route| route.upstream.is_empty());
    for (index, route) in routes.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        if route.upstream.is_empty() && !serves_only_checks {
            let text = text!(
                "it has no upstream: allowed requests get 404",
                "它没有上游：放行的请求得到 404"
            );
            warnings.add(&key_path, text);
        }
        if route.preflight == Preflight::Pass && route.access != AccessConfig::Public {
            let text = text!(
                "OPTIONS requests with Origin reach the application without login and identity",
                "带 Origin 的 OPTIONS 请求不登录、不带身份就能到达应用"
            );
            warnings.add(&key_path.clone().key("preflight"), text);
        }
        public_paths::warn(warnings, &key_path, route);
        if !route.pass_headers.is_empty() {
            let text = text!(
                "clients can set these headers; in some frameworks they override the path or \
                        method that menshen has checked",
                "客户端可以设置这些请求头；在有些框架里，它们会覆盖 menshen 已检查过的路径或方法"
            );
            warnings.add(&key_path.clone().key("pass_headers"), text);
        }
        warn_about_tokens_in_plain_http(warnings, &key_path, route);
        if route.upstream_tls.as_ref().is_some_and(|tls| !tls.verify) {
            let text = text!(
                "an attacker in the network can pose as the application and read and change \
                        everything: name its CA or its own certificate in `ca` instead",
                "网络中的攻击者可以冒充应用，读取和修改一切：请改为在 `ca` 中写上它的 CA 或它自己的证书"
            );
            let key_path = key_path.clone().key("upstream_tls").key("verify");
            warnings.add(&key_path, text);
        }
        if route.case_insensitive == Some(true) {
            let text = text!(
                "paths are compared without case; that is correct only if the application does \
                        so, too",
                "路径比较不分大小写；只有应用也这样做时才正确"
            );
            warnings.add(&key_path.clone().key("case_insensitive"), text);
        }
        path_case::capitals_in_rule(warnings, &key_path, route);
        if shares_its_audience(warnings.config, index) {
            let text = text!(
                "another application on this host gets assertions for the same audience, and \
                        each can use them at the other: add an audience to both",
                "这个主机上另一个应用收到的断言有相同的 audience，两者可以互相使用：请给两者都加上 audience"
            );
            warnings.add(&key_path.clone().key("assertion"), text);
        }
        if !route.acr_values.is_empty() && !reports_acr(warnings.config, route) {
            let text = text!(
                "none of the connectors of this route reports how people authenticated (acr): \
                        nobody passes",
                "这个路由的连接器都不报告认证方式（acr）：没有人能通过"
            );
            warnings.add(&key_path.clone().key("acr_values"), text);
        }
        warn_about_unknown_connectors(warnings, &key_path, route);
        let has_no_callers = warnings.config.connector.is_empty() && route.issuers.is_empty();
        if route.access == AccessConfig::SignedIn && has_no_callers {
            let text = text!(
                "there is no connector: nobody can sign in and pass until one is made with the admin \
                        API or added as [connector.ID]",
                "没有连接器：在用管理接口创建，或加上 [connector.ID] 之前，没有人能登录和通过"
            );
            warnings.add(&key_path, text);
        }
        if route.access == AccessConfig::Rule && has_no_callers {
            let text = text!(
                "there is no connector and no issuer: in the rule `user` is always null",
                "既没有连接器也没有签发方：规则中的 `user` 总是 null"
            );
            warnings.add(&key_path.key("access"), text);
        }
    }
}

/// Warns of connectors that the document does not have. They may be managed ones.
fn warn_about_unknown_connectors<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    for (index, id) in route.connectors.iter().enumerate() {
        if !warnings.config.connector.contains_key(id) {
            let text = text!(
                "the file has no connector `{id}`: people pass with it once it is made with the admin API",
                "文件中没有连接器 `{id}`：用管理接口创建之后，人们才能凭它通过"
            );
            let key_path = key_path.clone().key("connectors").item(index);
            warnings.add(&key_path, text);
        }
    }
}

/// Warns of a default or an order that names connectors which the document does not have.
fn warn_about_login_choices(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let text = |id: &ConnectorId| {
        text!(
            "the file has no connector `{id}`: it counts once it is made with the admin API",
            "文件中没有连接器 `{id}`：用管理接口创建之后才生效"
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

/// Warns if the provider's tokens are sent to an application in plain http.
fn warn_about_tokens_in_plain_http<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let is_plain_http = |upstream: &UpstreamUrl| match upstream {
        UpstreamUrl::Tcp { tls, host, .. } => {
            let url = Url::parse(&format!("http://{host}/"));
            !tls && !url.is_ok_and(|url| is_loopback(&url))
        }
        UpstreamUrl::Unix(_) => false,
    };
    if route.upstream.iter().any(is_plain_http) {
        let text = text!(
            "tokens of the provider are sent to the application in plain http: an attacker in \
                    the network can use them",
            "来源的令牌以明文 http 发给应用：网络中的攻击者可以使用它们"
        );
        let keys = [
            ("pass_access_token", route.pass_access_token),
            ("pass_id_token", route.pass_id_token),
        ];
        for (key, _) in keys.iter().filter(|(_, passes)| *passes) {
            warnings.add(&key_path.clone().key(key), text);
        }
    }
}

fn warn_about_wildcard_hosts(warnings: &mut Warnings<'_>) {
    for (index, route) in warnings.config.route.iter().enumerate() {
        if sends_sessions_to_wildcard(warnings.config, route) {
            let text = text!(
                "every host below it in the DNS belongs to this site: people must confirm before \
                        their session is sent there; name the hosts, or set [session] cookie_domain \
                        if all of them are yours",
                "DNS 中它以下的所有主机都属于本站点：会话发到那里之前，人们必须确认；请逐个写出主机，或在它们都归你们所有时设置 [session] cookie_domain"
            );
            warnings.add(&KeyPath::of(["route"]).item(index).key("host"), text);
        }
    }
}

/// Whether sessions are transferred to hosts that only match a wildcard.
fn sends_sessions_to_wildcard(config: &Config, route: &RouteConfig) -> bool {
    let HostPattern::Wildcard { suffix, .. } = &route.host else {
        return false;
    };
    let domain = config.session.cookie_domain.as_deref();
    let subdomain = domain.and_then(|domain| suffix.strip_suffix(domain));
    let is_covered = subdomain.is_some_and(|rest| rest.ends_with('.'));
    route.access != AccessConfig::Public && !config.connector.is_empty() && !is_covered
}

/// Whether another application on the host of this route accepts its assertions.
fn shares_its_audience(config: &Config, index: usize) -> bool {
    let audience_is_host = |route: &RouteConfig| route.assertion && route.audience.is_none();
    let this = &config.route[index];
    let shares = |other: &RouteConfig| {
        audience_is_host(other)
            && host_without_port(&other.host) == host_without_port(&this.host)
            && other.upstream != this.upstream
    };
    audience_is_host(this) && config.route.iter().any(shares)
}

/// The host pattern without its port, because an audience has no port.
fn host_without_port(host: &HostPattern) -> (bool, &str) {
    match host {
        HostPattern::Any { .. } => (false, ""),
        HostPattern::Exact { name, .. } => (false, name),
        HostPattern::Wildcard { suffix, .. } => (true, suffix),
    }
}

fn reports_acr(config: &Config, route: &RouteConfig) -> bool {
    let is_accepted = |id| route.connectors.is_empty() || route.connectors.contains(id);
    let mut connectors = config.connector.iter().filter(|(id, _)| is_accepted(id));
    connectors.any(|(_, connector)| {
        connector
            .kind()
            .is_ok_and(|kind| kind.features().reports_acr)
    })
}
