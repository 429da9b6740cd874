//! The checks of settings that the kinds with an entry point share.

use url::Url;

use super::SettingProblem;
use crate::setting::{KeyPath, is_origin};
use crate::text;
use crate::wording::Text;

/// The warning for a connector that accepts entry tokens from any page.
pub(super) const ANY_ORIGIN: Text = Text::fixed(
    "without `origins` any web page can sign a person in with a token of its \
                                     own choice: list the origins of the portal",
    "没有 `origins`，任何网页都能用自选的令牌让人登录：请列出门户的源",
);

/// The parameters of the entry point itself.
const RESERVED_PARAMETERS: [&str; 5] = ["rd", "flow", "account", "k", "f"];

/// The longest name of a parameter, in bytes.
const PARAMETER_BYTES_MAX: usize = 64;

/// The entries of `origins` that are no origins.
pub(super) fn origin_problems<'a>(
    key_path: &KeyPath<'a>,
    origins: &[Url],
) -> Vec<SettingProblem<'a>> {
    let indexed = origins.iter().enumerate();
    let wrong = indexed.filter(|(_, origin)| !is_origin(origin));
    wrong
        .map(|(index, _)| {
            let help = text!(
                "http:// or https://, a host and perhaps a port; no path, query or user",
                "应为 http:// 或 https://、主机，可以带端口；不能带路径、查询参数或用户名"
            );
            let key_path = key_path.clone().item(index);
            SettingProblem::value(
                key_path,
                text!("this must be an origin", "这里应为源（origin）"),
                help,
            )
        })
        .collect()
}

/// The problem with the name of the parameter that holds the entry token, if there is one.
pub(super) fn entry_parameter_problem<'a>(
    key_path: KeyPath<'a>,
    name: &str,
) -> Option<SettingProblem<'a>> {
    if RESERVED_PARAMETERS.contains(&name) {
        let message = text!(
            "`{name}` is a parameter of menshen itself",
            "`{name}` 是 menshen 自己的参数"
        );
        let help = text!(
            "choose another, such as \"token\"",
            "请换一个，例如 \"token\""
        );
        return Some(SettingProblem::value(key_path, message, help));
    }
    parameter_problem(key_path, name)
}

/// The problem with the name of a parameter, if there is one.
pub(super) fn parameter_problem<'a>(
    key_path: KeyPath<'a>,
    name: &str,
) -> Option<SettingProblem<'a>> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !name.is_empty() && name.len() <= PARAMETER_BYTES_MAX && name.bytes().all(is_allowed) {
        return None;
    }
    let message = text!("this cannot be the name of a parameter", "这不能用作参数名");
    let help = text!(
        "letters, digits and -._~, at most {PARAMETER_BYTES_MAX}",
        "应为字母、数字和 -._~，最多 {PARAMETER_BYTES_MAX} 个"
    );
    Some(SettingProblem::value(key_path, message, help))
}
