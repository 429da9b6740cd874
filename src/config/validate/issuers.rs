//! Validates `[issuer.NAME]` and the `issuers` of routes: each token is verified by exactly one issuer.

use url::Url;

use super::Problems;
use crate::issuer::{TenantName, TenantSetting, tenants_problem};
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::request::route::{AccessConfig, RouteConfig};
use crate::setting::KeyPath;
use crate::text;

pub(super) fn validate(problems: &mut Problems<'_>) {
    for (id, issuer) in &problems.config.issuer {
        let key_path = KeyPath::of(["issuer", id.as_str()]);
        validate_token_settings(problems, &key_path, issuer);
        validate_addresses(problems, &key_path, issuer);
        validate_people_connector(problems, &key_path, issuer);
    }
    for (index, route) in problems.config.route.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        validate_route_issuers(problems, &key_path, route);
        validate_overlapping_issuers(problems, &key_path, route);
    }
}

fn validate_token_settings<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    issuer: &'a IssuerConfig,
) {
    if let Some((setting, why)) = tenants_problem(&issuer.url, &issuer.tenants) {
        let (key, message) = match setting {
            TenantSetting::Issuer => (
                "url",
                text!(
                    "the tokens of every tenant would be refused",
                    "所有租户的令牌都会被拒绝"
                ),
            ),
            TenantSetting::Tenants => (
                "tenants",
                text!(
                    "the value of tenants cannot be used",
                    "tenants 的值无法使用"
                ),
            ),
        };
        problems.add_at_value(&key_path.clone().key(key), message, why);
    }
    if let Some(why) = issuer.url.metadata_problem() {
        let message = text!("the value of url cannot be used", "url 的值无法使用");
        problems.add_at_value(&key_path.clone().key("url"), message, why);
    }
    validate_audiences(problems, key_path, issuer);
    if issuer.algorithms.as_ref().is_some_and(Vec::is_empty) {
        let key_path = key_path.clone().key("algorithms");
        problems.add_at_value(
            &key_path,
            text!(
                "without algorithms every token is refused",
                "没有 algorithms，所有令牌都会被拒绝"
            ),
            text!("remove it for the default", "删除它就用默认值"),
        );
    }
    problems.require_positive(key_path, &[("token_life_max", issuer.token_life_max)]);
    problems.require_at_least_one(
        key_path,
        &[
            ("cached_max", issuer.cached_max),
            (
                "new_tokens_per_client_per_minute",
                issuer.new_tokens_per_client_per_minute.into(),
            ),
            (
                "new_tokens_per_client_at_once",
                issuer.new_tokens_per_client_at_once.into(),
            ),
        ],
    );
    if let Some(introspection) = &issuer.introspection
        && introspection.client_id.is_empty()
    {
        let key_path = key_path.clone().key("introspection").key("client_id");
        problems.add_at_value(
            &key_path,
            text!(
                "introspection needs a client_id",
                "introspection 需要 client_id"
            ),
            text!(
                "the ID of a client of the issuer",
                "填在签发方登记的客户端 ID"
            ),
        );
    }
}

fn validate_audiences<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    issuer: &'a IssuerConfig,
) {
    if issuer.audiences.is_empty() {
        let help = text!(
            "list the `aud` values of the tokens for these applications",
            "请列出发给这些应用的令牌中 `aud` 的值"
        );
        let key_path = key_path.clone().key("audiences");
        problems.add_at_value(
            &key_path,
            text!(
                "without audiences every token is refused",
                "没有 audiences，所有令牌都会被拒绝"
            ),
            help,
        );
    }
    for (index, audience) in issuer.audiences.iter().enumerate() {
        if audience.is_empty() {
            let key_path = key_path.clone().key("audiences").item(index);
            problems.add_at_value(
                &key_path,
                text!("an audience must not be empty", "audience 不能为空"),
                text!("such as \"menshen\"", "例如 \"menshen\""),
            );
        }
    }
}

/// `people` must name a connector of the same issuer, because only its accounts have the `sub` of the
/// token.
fn validate_people_connector<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    issuer: &'a IssuerConfig,
) {
    let Some(people) = &issuer.people else {
        return;
    };
    if !problems.is_complete("connector") {
        return;
    }
    let key_path = key_path.clone().key("people");
    let connector = problems.config.connector.get(people);
    let token_issuer = connector.and_then(|connector| {
        connector
            .configured_kinds()
            .find_map(|kind| kind.token_issuer())
    });
    let Some(token_issuer) = token_issuer else {
        let help = match connectors_with_tokens(problems).as_slice() {
            [] => text!(
                "there is no connector whose provider signs tokens",
                "没有哪个认证源会签发令牌"
            ),
            names => text!("there are: {}", "现有：{}", names.join(", ")),
        };
        let message = text!(
            "`{people}` is not a connector whose provider signs tokens",
            "`{people}` 不是会签发令牌的认证源"
        );
        problems.add_at_value(&key_path, message, help);
        return;
    };
    if *token_issuer.issuer != issuer.url || !same_tenants(token_issuer.tenants, &issuer.tenants) {
        let help = text!(
            "its issuer is {}; `url` and `tenants` here must be the same",
            "它的签发方是 {}；这里的 `url` 和 `tenants` 必须与它相同",
            token_issuer.issuer
        );
        let message = text!(
            "the connector `{people}` belongs to another issuer",
            "认证源 `{people}` 属于另一个签发方"
        );
        problems.add_at_value(&key_path, message, help);
    }
    let introspection = issuer.introspection.as_ref();
    if introspection.is_some_and(|introspection| introspection.audience_optional) {
        let help = text!(
            "remove `audience_optional`: otherwise another application could use the tokens \
                    it receives to act as their persons",
            "请删除 `audience_optional`：否则别的应用可以拿收到的令牌冒充其中的人"
        );
        problems.add_at_value(
            &key_path,
            text!(
                "tokens for any application would identify a person",
                "发给任何应用的令牌都能代表人的身份"
            ),
            help,
        );
    }
}

fn connectors_with_tokens<'a>(problems: &Problems<'a>) -> Vec<&'a str> {
    let connectors = problems.config.connector.iter();
    connectors
        .filter(|(_, connector)| {
            connector
                .configured_kinds()
                .any(|kind| kind.token_issuer().is_some())
        })
        .map(|(id, _)| id.as_str())
        .collect()
}

fn same_tenants(one: &[TenantName], other: &[TenantName]) -> bool {
    one.len() == other.len() && one.iter().all(|tenant| other.contains(tenant))
}

fn validate_addresses<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    issuer: &'a IssuerConfig,
) {
    let introspection = issuer.introspection.as_ref();
    let urls: [(KeyPath<'_>, Option<&Url>); 3] = [
        (
            key_path.clone().key("metadata_url"),
            issuer.metadata_url.as_ref(),
        ),
        (key_path.clone().key("jwks_url"), issuer.jwks_url.as_ref()),
        (
            key_path.clone().key("introspection").key("url"),
            introspection.and_then(|introspection| introspection.url.as_ref()),
        ),
    ];
    for (key_path, url) in urls {
        let is_invalid = |url: &Url| {
            let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
            !is_http || !url.username().is_empty() || url.password().is_some()
        };
        if url.is_some_and(is_invalid) {
            let help = text!(
                "http:// or https://, a host and a path, without credentials",
                "应为 http:// 或 https://、主机和路径，不带用户名和密码"
            );
            problems.add_at_value(
                &key_path,
                text!("this URL cannot be used", "这个 URL 无法使用"),
                help,
            );
        }
    }
}

fn validate_route_issuers<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let issuers = &problems.config.issuer;
    let names: Vec<_> = issuers.keys().map(IssuerId::as_str).collect();
    for (index, id) in route.issuers.iter().enumerate() {
        if !issuers.contains_key(id) && problems.is_complete("issuer") {
            let help = match names.as_slice() {
                [] => text!(
                    "there is none: add [issuer.{id}]",
                    "还没有签发方：请加上 [issuer.{id}]"
                ),
                names => text!("there are: {}", "现有：{}", names.join(", ")),
            };
            let key_path = key_path.clone().key("issuers").item(index);
            problems.add_at_value(
                &key_path,
                text!("there is no issuer `{id}`", "没有签发方 `{id}`"),
                help,
            );
        }
    }
    if !route.issuers.is_empty() && route.access == AccessConfig::Public {
        let help = text!(
            "access = \"rule\" with allow = \"true\" lets everybody pass and verifies tokens",
            "access = \"rule\" 加 allow = \"true\" 放行所有人，同时验证令牌"
        );
        let message = text!(
            "a public route lets everybody pass: `issuers` has no effect",
            "公开路由放行所有人：`issuers` 不起作用"
        );
        problems.add_at_key(&key_path.clone().key("issuers"), message, help);
    }
    if route.issuers.is_empty() && !route.scopes.is_empty() {
        let help = text!(
            "only tokens have scopes: add issuers = [...]",
            "只有令牌才有 scope：请加上 issuers = [...]"
        );
        problems.add_at_key(
            &key_path.clone().key("scopes"),
            text!(
                "`scopes` has no effect without `issuers`",
                "没有 `issuers`，`scopes` 不起作用"
            ),
            help,
        );
    }
}

/// Refuses a route with two issuers of the same `iss`, or with two that use introspection: an opaque
/// token must not be sent to both.
fn validate_overlapping_issuers<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let issuers = &problems.config.issuer;
    let route_issuers: Vec<_> = route.issuers.iter().map(|id| issuers.get(id)).collect();
    for (index, issuer) in route_issuers.iter().enumerate() {
        let Some(issuer) = issuer else { continue };
        let earlier_issuers = route_issuers[..index].iter().flatten();
        let shares_tokens =
            |other: &&IssuerConfig| other.url.covers(&issuer.url) || issuer.url.covers(&other.url);
        let overlaps = earlier_issuers.clone().any(shares_tokens);
        let introspects = |issuer: &IssuerConfig| issuer.introspection.is_some();
        let key_path = key_path.clone().key("issuers").item(index);
        if overlaps {
            let message = text!(
                "this route names an issuer of {} already",
                "这条路由已经写了 {} 的签发方",
                issuer.url
            );
            problems.add_at_value(
                &key_path,
                message,
                text!("name one of them", "请只写其中一个"),
            );
        } else if introspects(issuer) && earlier_issuers.clone().any(|other| introspects(other)) {
            let help = text!(
                "tokens of one issuer would be sent to the other: use two routes",
                "一个签发方的令牌会发给另一个：请分成两条路由"
            );
            let message = text!(
                "two issuers of this route use introspection",
                "这条路由有两个签发方使用 introspection"
            );
            problems.add_at_value(&key_path, message, help);
        }
    }
}
