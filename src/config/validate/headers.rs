//! Validates the header names in `[route.headers]` and `pass_headers`.

use std::collections::HashSet;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::Problems;
use crate::expression::Scope;
use crate::request::headers::is_reserved;
use crate::request::route::RouteConfig;
use crate::setting::KeyPath;
use crate::text;

/// The built-in identity headers: a client's header with such a name is removed on every route, but a
/// route may set one.
const IDENTITY_HEADERS: [&str; 6] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
];

pub(super) fn validate(problems: &mut Problems<'_>) {
    let names_only_menshen_sets: HashSet<String> = problems
        .config
        .route
        .iter()
        .flat_map(|route| route.headers.keys())
        .map(|name| normalized(name))
        .chain(IDENTITY_HEADERS.map(normalized))
        .collect();
    for (index, route) in problems.config.route.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        let mut names = HashSet::new();
        for (name, expression) in &route.headers {
            let key_path = key_path.clone().key("headers").key(name);
            validate_settable(problems, &key_path, name);
            if !names.insert(normalized(name)) {
                let help = text!(
                    "applications do not distinguish `-` and `_`, or upper and lower case",
                    "应用不区分 `-` 和 `_`，也不区分大小写"
                );
                problems.add_at_key(
                    &key_path,
                    text!("`{name}` is set twice", "`{name}` 设置了两次"),
                    help,
                );
            }
            problems.check_expression(&key_path, expression, Scope::Rule);
        }
        validate_duplicates(problems, &key_path, route, &names);
        for (item, name) in route.pass_headers.iter().enumerate() {
            let key_path = key_path.clone().key("pass_headers").item(item);
            validate_passable(problems, &key_path, name, &names_only_menshen_sets);
        }
    }
}

/// Reports headers that more than one key would set.
fn validate_duplicates(
    problems: &mut Problems<'_>,
    key_path: &KeyPath<'_>,
    route: &RouteConfig,
    set_by_route: &HashSet<String>,
) {
    let sets_authorization = set_by_route.contains("authorization");
    if route.basic_auth.is_some() && sets_authorization {
        let help = text!(
            "remove it from [route.headers], or remove basic_auth",
            "请从 [route.headers] 中删除它，或删除 basic_auth"
        );
        let key_path = key_path.clone().key("basic_auth");
        problems.add_at_key(
            &key_path,
            text!("Authorization is set twice", "Authorization 设置了两次"),
            help,
        );
    }
    if route.pass_id_token && (route.basic_auth.is_some() || sets_authorization) {
        let help = text!(
            "the ID token goes into Authorization: remove pass_id_token, or whatever else \
                    sets it",
            "ID 令牌放在 Authorization 里：请删除 pass_id_token，或删除设置它的另一处"
        );
        let key_path = key_path.clone().key("pass_id_token");
        problems.add_at_key(
            &key_path,
            text!("Authorization is set twice", "Authorization 设置了两次"),
            help,
        );
    }
    if route.pass_access_token && set_by_route.contains("x-forwarded-access-token") {
        let help = text!(
            "remove it from [route.headers], or remove pass_access_token",
            "请从 [route.headers] 中删除它，或删除 pass_access_token"
        );
        let key_path = key_path.clone().key("pass_access_token");
        problems.add_at_key(
            &key_path,
            text!(
                "X-Forwarded-Access-Token is set twice",
                "X-Forwarded-Access-Token 设置了两次"
            ),
            help,
        );
    }
    if route.assertion && set_by_route.contains("x-menshen-assertion") {
        let help = text!(
            "remove it from [route.headers], or remove assertion",
            "请从 [route.headers] 中删除它，或删除 assertion"
        );
        let key_path = key_path.clone().key("assertion");
        problems.add_at_key(
            &key_path,
            text!(
                "X-Menshen-Assertion is set twice",
                "X-Menshen-Assertion 设置了两次"
            ),
            help,
        );
    }
}

fn validate_settable(problems: &mut Problems<'_>, key_path: &KeyPath<'_>, name: &str) {
    match HeaderName::try_from(name) {
        Err(_) => {
            let help = text!(
                "letters, digits and -, such as X-Remote-User",
                "只能用字母、数字和 -，例如 X-Remote-User"
            );
            problems.add_at_key(
                key_path,
                text!(
                    "`{name}` is not a valid header name",
                    "`{name}` 不是有效的请求头名"
                ),
                help,
            );
        }
        Ok(header) if is_reserved(&header) => {
            let help = text!(
                "it frames the message, names its target, holds cookies or belongs to one \
                        connection; for Host there is host_header",
                "它决定报文的边界或目标、携带 Cookie，或只属于一个连接；Host 请用 host_header"
            );
            problems.add_at_key(
                key_path,
                text!("`{name}` cannot be set", "不能设置 `{name}`"),
                help,
            );
        }
        Ok(_) => {}
    }
}

fn validate_passable(
    problems: &mut Problems<'_>,
    key_path: &KeyPath<'_>,
    name: &str,
    names_only_menshen_sets: &HashSet<String>,
) {
    let message = match HeaderName::try_from(name) {
        Err(_) => text!(
            "`{name}` is not a valid header name",
            "`{name}` 不是有效的请求头名"
        ),
        Ok(header) if is_reserved(&header) => {
            text!(
                "`{name}` frames the message, names its target, holds cookies or belongs to one \
                 connection: pass_headers has no effect on it",
                "`{name}` 决定报文的边界或目标、携带 Cookie，或只属于一个连接：pass_headers 对它不起作用"
            )
        }
        Ok(header) if is_only_set_by_menshen(&header, names_only_menshen_sets) => {
            match header == AUTHORIZATION {
                true => text!(
                    "`{name}` is passed on without pass_headers, except by routes that set it",
                    "`{name}` 不写 pass_headers 也会转发，除非路由自己设置了它"
                ),
                false => text!(
                    "only menshen sets `{name}`: that of a client is never passed on",
                    "`{name}` 只由 menshen 设置：客户端发来的从不转发"
                ),
            }
        }
        Ok(_) => return,
    };
    problems.add_at_value(
        key_path,
        message,
        text!("pass_headers is for headers that menshen removes by default, such as X-Original-URL or \
         X-HTTP-Method-Override", "pass_headers 用于 menshen 默认删除的请求头，例如 X-Original-URL 或 X-HTTP-Method-Override"),
    );
}

fn is_only_set_by_menshen(header: &HeaderName, names_only_menshen_sets: &HashSet<String>) -> bool {
    let name = normalized(header.as_str());
    let built_in = name.starts_with("x-menshen-") || name.starts_with("x-auth-request-");
    built_in || names_only_menshen_sets.contains(&name)
}

/// The name as an application may compare it: in lower case, with `-` for everything but letters and
/// digits.
fn normalized(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(letter).collect()
}
