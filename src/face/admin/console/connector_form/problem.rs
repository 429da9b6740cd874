//! The problems of settings, in the language of the page and beside the controls that they are about.

use super::input::Input;
use crate::face::page::Lang;
use crate::site::settings::FieldProblem;

/// The messages of [`FieldProblem`] in Chinese. One that is not here is shown as it is.
const ZH: &[(&str, &str)] = &[
    ("it is missing", "缺少这一项"),
    ("give it a value", "请填写"),
    ("this is not a choice here", "这里没有这个选项"),
    ("a value of this type does not fit here", "值的类型不对"),
    (
        "expected a whole number, not below 0",
        "应为不小于 0 的整数",
    ),
    ("this value cannot be used", "这个值不能用"),
    (
        "the place to which this secret is sent has changed",
        "密钥要发往的地址变了",
    ),
    ("give the secret again", "请重新填写密钥"),
    (
        "no secret is kept for which this could stand",
        "没有可以沿用的密钥",
    ),
    ("give the secret itself", "请填写密钥"),
    (
        "the place to which the password is sent has changed, or there is none",
        "密码要发往的地址变了，或者没有密码",
    ),
    ("give the password itself", "请填写密码"),
    (
        "managed settings read no file and no environment variable of the machine",
        "在这里管理的配置不能读取服务器上的文件和环境变量",
    ),
    ("give the text itself", "请直接填写内容"),
    ("it is too long", "太长了"),
    ("it has a control character", "含有控制字符"),
    ("remove it", "请去掉"),
    (
        "it is nested too deeply, or there are too many values",
        "层数或内容太多",
    ),
    ("there are too many values", "内容太多"),
    ("there are too many connectors", "认证源太多"),
    (
        "write name = \"value\" on each line",
        "每行写 名称 = \"值\"",
    ),
    (
        "set auto_login = \"never\" on all but one connector of a kind",
        "同一类认证源中，除一个以外都要选“从不自动登录”",
    ),
    (
        "only one connector can start every login",
        "只有一个认证源可以总是自动登录",
    ),
];

/// A problem with its remedy, in a language.
pub(super) fn words(problem: &FieldProblem, lang: Lang) -> String {
    let message = translated(&problem.message, lang);
    match (&problem.help, lang) {
        (Some(help), Lang::Zh) => format!("{message}（{}）", translated(help, lang)),
        (Some(help), Lang::En) => format!("{message} ({help})"),
        (None, _) => message.to_owned(),
    }
}

fn translated(text: &str, lang: Lang) -> &str {
    let known = ZH.iter().find(|(en, _)| *en == text);
    match (known, lang) {
        (Some((_, zh)), Lang::Zh) => zh,
        _ => text,
    }
}

/// Puts each problem beside the control that it is about: the one with the longest key that leads to its field.
/// Returns those that have none.
pub(super) fn place<'i>(
    problems: Vec<FieldProblem>,
    inputs: impl Iterator<Item = &'i mut Input>,
    lang: Lang,
) -> Vec<String> {
    let mut inputs: Vec<_> = inputs.collect();
    let mut others = Vec::new();
    for problem in problems {
        let leading = inputs
            .iter_mut()
            .filter(|input| leads_to(&input.name, &problem.field));
        match leading.max_by_key(|input| input.name.len()) {
            Some(input) => input.problems.push(words(&problem, lang)),
            None if problem.field.is_empty() => others.push(words(&problem, lang)),
            None => others.push(format!("{}: {}", problem.field, words(&problem, lang))),
        }
    }
    others
}

/// Whether a field is a setting or a part of it.
fn leads_to(key: &str, field: &str) -> bool {
    let rest = field.strip_prefix(key);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
