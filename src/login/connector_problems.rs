//! The problems of a connector's settings: what its types cannot exclude. Needs no document, so that the
//! settings of a file and those of the store are checked by the same function.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use super::connector::{AutoLogin, ConnectorConfig, Kind, KindError, SettingProblem};
use super::return_to::{Destinations, ReturnTo};
use crate::expression::Scope;
use crate::outbound;
use crate::setting::{KeyPath, is_origin};
use crate::store::{ConnectorId, LOCAL_GROUPS_MAX};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// What the settings of a connector depend on besides themselves.
#[derive(Clone, Copy)]
pub struct ConnectorSurroundings<'a> {
    /// The public URL of the site.
    pub external_url: &'a Url,
    /// The prefix of own paths: `/.menshen`.
    pub prefix: &'a str,
    /// The first path segments of own pages below `prefix`.
    pub own_pages: &'a [&'a str],
    /// The URLs that a login may return to.
    pub destinations: &'a dyn Destinations,
}

impl fmt::Debug for ConnectorSurroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorSurroundings")
            .field("external_url", &self.external_url)
            .finish_non_exhaustive()
    }
}

/// All problems of one connector. Key paths are relative to `[connector.ID]`.
pub fn connector_problems<'a>(
    id: &ConnectorId,
    connector: &'a ConnectorConfig,
    surroundings: ConnectorSurroundings<'_>,
) -> Vec<SettingProblem<'a>> {
    let mut problems: Vec<_> = kind_problem(id, connector).into_iter().collect();
    for kind in connector.configured_kinds() {
        problems.extend(problems_of_kind(connector, kind, surroundings.external_url));
    }
    if let Some(base) = &connector.callback_base
        && !is_origin(base)
    {
        let help = text!(
            "http:// or https://, a host and perhaps a port; no path, query or user",
            "应为 http:// 或 https://、主机，可以带端口；不能带路径、查询参数或用户名"
        );
        let key_path = KeyPath::of(["callback_base"]);
        problems.push(SettingProblem::value(
            key_path,
            text!("this must be an origin", "这里应为源（origin）"),
            help,
        ));
    }
    problems.extend(ca_problem(connector));
    problems.extend(callback_problem(connector, surroundings));
    problems.extend(home_problems(connector, surroundings.destinations));
    problems.extend(join_problems(connector));
    problems.extend(mapping_problems(connector));
    problems
}

/// The problem of a connector without a kind, or with several.
fn kind_problem<'a>(
    id: &ConnectorId,
    connector: &'a ConnectorConfig,
) -> Option<SettingProblem<'a>> {
    let error = connector.kind().err()?;
    let help = error.text_of(id.as_str());
    Some(match error {
        KindError::Missing => {
            let message = text!(
                "the connector `{id}` is of no kind",
                "认证源 `{id}` 没有种类"
            );
            SettingProblem::key(KeyPath::of([]), message, help)
        }
        KindError::Several(_, second) => {
            let message = text!(
                "the connector `{id}` is of two kinds",
                "认证源 `{id}` 有两个种类"
            );
            SettingProblem::key(KeyPath::of([second]), message, help)
        }
    })
}

/// The problems that the kind of the connector finds.
fn problems_of_kind<'a>(
    connector: &'a ConnectorConfig,
    kind: &'a dyn Kind,
    external_url: &Url,
) -> Vec<SettingProblem<'a>> {
    let expressions = kind.expressions().into_iter();
    let expressions = expressions
        .filter_map(|(key_path, text, scope)| SettingProblem::expression(key_path, text, scope));
    let mut problems: Vec<_> = expressions.collect();
    problems.extend(kind.problems(connector, external_url));
    problems
}

/// The problem of `ca_pem`.
fn ca_problem(connector: &ConnectorConfig) -> Option<SettingProblem<'_>> {
    let key_path = KeyPath::of(["ca_pem"]);
    let text = connector.ca_pem.as_deref()?;
    if connector.ca.is_some() {
        let message = text!(
            "`ca` and `ca_pem` exclude each other",
            "`ca` 和 `ca_pem` 只能写一个"
        );
        return Some(SettingProblem::key(
            key_path,
            message,
            text!("keep one of them", "请保留其中一个"),
        ));
    }
    let error = outbound::check_ca_pem(text).err()?;
    let message = text!(
        "these are not certificates of authorities",
        "这不是 CA 证书"
    );
    let help = text!(
        "{}: write them as PEM",
        "{:#}：请用 PEM 格式",
        error_chain(&error)
    );
    Some(SettingProblem::value(key_path, message, help))
}

/// The problem of a callback that the provider's response cannot reach, or that is one of menshen's pages.
fn callback_problem<'a>(
    connector: &'a ConnectorConfig,
    surroundings: ConnectorSurroundings<'_>,
) -> Option<SettingProblem<'a>> {
    let callback = connector.callback.as_ref()?;
    let key_path = KeyPath::of(["callback"]);
    let external = surroundings.external_url;
    let reachable = [Some(external), connector.callback_base.as_ref()];
    let mut reachable = reachable.iter().flatten();
    if !reachable.any(|url| url.origin() == callback.origin()) {
        let help = text!(
            "logins run on {}: use that scheme and host, or set `callback_base` to the scheme \
             and host of this callback, if requests there reach menshen",
            "登录在 {} 上进行：请用同样的协议和主机；如果发到这个回调地址的请求能到达 menshen，也可以把 `callback_base` 设为它的协议和主机",
            external.origin().ascii_serialization()
        );
        let message = text!(
            "the provider's response would not reach menshen",
            "认证源的响应到不了 menshen"
        );
        return Some(SettingProblem::value(key_path, message, help));
    }
    let prefix = surroundings.prefix;
    let Some(path) = callback_path(callback, prefix) else {
        let help = text!(
            "a path below {prefix}/ of letters, digits and -._~/, without query; `prefix` can be \
             changed, such as to \"/oauth2\"",
            "应为 {prefix}/ 以下、由字母、数字和 -._~/ 组成的路径，不带查询参数；`prefix` 可以改，例如 \"/oauth2\""
        );
        let message = text!("this cannot be a callback", "这不能用作回调地址");
        return Some(SettingProblem::value(key_path, message, help));
    };
    let first = path.split('/').next().unwrap_or_default();
    surroundings.own_pages.contains(&first).then(|| {
        let message = text!(
            "{prefix}/{first} is a page of menshen",
            "{prefix}/{first} 是 menshen 自己的页面"
        );
        SettingProblem::value(
            key_path,
            message,
            text!(
                "choose another, such as callback",
                "请换一个，例如 callback"
            ),
        )
    })
}

/// The path of a callback below `prefix`, if it can be one.
fn callback_path<'a>(callback: &'a Url, prefix: &str) -> Option<&'a str> {
    let below = callback.path().strip_prefix(prefix);
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let is_path =
        |path: &&str| !path.is_empty() && path.bytes().all(is_allowed) && !path.contains("//");
    let has_no_query = callback.query().is_none()
        && callback.fragment().is_none()
        && callback.username().is_empty()
        && callback.password().is_none();
    below.filter(is_path).filter(|_| has_no_query)
}

/// The problems of the pages at which people arrive after a login without a target (`home`).
fn home_problems<'a>(
    connector: &'a ConnectorConfig,
    destinations: &dyn Destinations,
) -> impl Iterator<Item = SettingProblem<'a>> {
    let pages = [
        ("desktop", &connector.home.desktop),
        ("mobile", &connector.home.mobile),
    ];
    let unusable = pages
        .into_iter()
        .filter(move |(_, target)| ReturnTo::parse(target, destinations).is_none());
    unusable.map(|(key, _)| {
        let help = text!(
            "a path such as /portal, or a URL whose scheme, host and port a route serves",
            "应为 /portal 这样的路径，或某条路由服务其协议、主机和端口的 URL"
        );
        let message = text!(
            "nobody can land there after a login",
            "登录后没有人能到那里"
        );
        SettingProblem::value(KeyPath::of(["home", key]), message, help)
    })
}

/// The problems of a `join` that gives nothing, or too many groups.
fn join_problems(connector: &ConnectorConfig) -> Vec<SettingProblem<'_>> {
    let Some(join) = &connector.join else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if join.department.is_none() && join.groups.is_empty() {
        let help = text!(
            "give `department`, `groups` or both, or remove `join`",
            "请写 `department`、`groups` 或两者，或删除 `join`"
        );
        let message = text!("`join` gives nothing to anybody", "`join` 什么都没有给");
        problems.push(SettingProblem::key(KeyPath::of(["join"]), message, help));
    }
    if join.groups.len() > LOCAL_GROUPS_MAX {
        let help = text!(
            "at most {LOCAL_GROUPS_MAX} groups",
            "最多 {LOCAL_GROUPS_MAX} 个组"
        );
        let key_path = KeyPath::of(["join", "groups"]);
        problems.push(SettingProblem::value(
            key_path,
            text!("these are too many groups", "组太多"),
            help,
        ));
    }
    problems
}

fn mapping_problems(connector: &ConnectorConfig) -> Vec<SettingProblem<'_>> {
    let mut problems = Vec::new();
    for (field, expression) in &connector.mapping.0 {
        let key_path = KeyPath::of(["mapping", field]);
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if field.is_empty() || field.len() > 64 || !field.bytes().all(is_allowed) {
            let help = text!(
                "letters, digits and _, at most 64: rules read it as user.attributes.NAME",
                "应为字母、数字和 _，最多 64 个：规则中写作 user.attributes.名字"
            );
            let message = text!(
                "this name cannot be used for a field",
                "这个名字不能用作字段名"
            );
            problems.push(SettingProblem::key(key_path.clone(), message, help));
        }
        let expression = SettingProblem::expression(key_path, expression, Scope::Mapping);
        problems.extend(expression);
    }
    problems
}

/// The problems of two connectors that would both start a login automatically: every login, or those inside
/// the app of the same provider. Key paths are relative to the connector that is named.
pub fn auto_login_problems<'a>(
    connectors: &'a BTreeMap<ConnectorId, ConnectorConfig>,
) -> Vec<(&'a ConnectorId, SettingProblem<'a>)> {
    let mut problems = Vec::new();
    let mut always: Option<&ConnectorId> = None;
    let mut connectors_by_app: Vec<(&'static str, &ConnectorId)> = Vec::new();
    let mut add = |id, message: Text, help: Text| {
        let problem = SettingProblem::value(KeyPath::of(["auto_login"]), message, help);
        problems.push((id, problem));
    };
    for (id, connector) in connectors {
        match (connector.auto_login, always) {
            (AutoLogin::Always, Some(other)) => {
                let message = text!(
                    "`{other}` already has auto_login = \"always\"",
                    "`{other}` 已经写了 auto_login = \"always\""
                );
                add(
                    id,
                    message,
                    text!(
                        "only one connector can start every login",
                        "只能有一个认证源自动开始所有登录"
                    ),
                );
            }
            (AutoLogin::Always, None) => always = Some(id),
            (AutoLogin::Never | AutoLogin::InApp, _) => {}
        }
        // `always` includes the provider's own app.
        let starts_in_app = !matches!(connector.auto_login, AutoLogin::Never);
        let app = connector.kind().ok().and_then(|kind| kind.features().app);
        let Some(app_name) = app.filter(|_| starts_in_app).map(|app| app.name) else {
            continue;
        };
        let mut known = connectors_by_app.iter();
        match known.find(|(other, _)| *other == app_name) {
            Some((_, other)) => {
                let message = text!(
                    "inside the client of {app_name}, `{other}` already starts logins",
                    "在{app_name}客户端内，登录已由 `{other}` 自动开始"
                );
                let help = text!(
                    "set auto_login = \"never\" on all but one connector of a kind",
                    "同一种类的认证源，只保留一个，其余请写 auto_login = \"never\""
                );
                add(id, message, help);
            }
            None => connectors_by_app.push((app_name, id)),
        }
    }
    problems
}
