//! Problems of `[[connector.ID.custom.step]]`.

use super::super::super::SettingProblem;
use super::super::config::{Config, NAME, StepConfig, StepMethod, key_path};
use super::super::plan::StepReads;
use super::super::step::STEPS_MAX;
use super::{all_compile, name_problem, url_problem};
use crate::setting::KeyPath;
use crate::text;
/// Headers that the HTTP client sets itself.
const RESERVED_HEADERS: [&str; 8] = [
    "accept",
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn step_count_problem<'a>(
    config: &Config,
    reads: &[StepReads],
) -> Option<SettingProblem<'a>> {
    let (key_path, message, help) = if config.step.is_empty() {
        let message = text!(
            "without a step nobody verifies the code",
            "没有步骤，就没有什么来验证授权码"
        );
        let help = text!(
            "add [[connector.ID.custom.step]] with the request that redeems it",
            "请加上 [[connector.ID.custom.step]]，写兑换它的请求"
        );
        (KeyPath::of([NAME]), message, help)
    } else if config.step.len() > STEPS_MAX {
        let message = text!(
            "a login has at most {STEPS_MAX} steps",
            "一次登录最多 {STEPS_MAX} 步"
        );
        (
            key_path(["step"]),
            message,
            text!("remove some", "请删除一些"),
        )
    } else if all_compile(config) && !reads.iter().any(|reads| reads.is_personal) {
        let message = text!(
            "no step reads what the browser brought: everybody would be the same person",
            "没有步骤读取浏览器带来的内容：所有人都会是同一个人"
        );
        let help = text!(
            "one of the requests must send `code`, or one of `params`",
            "必须有一个请求发送 `code`，或 `params` 中的一个"
        );
        (key_path(["step"]), message, help)
    } else {
        return None;
    };
    Some(SettingProblem::key(key_path, message, help))
}

pub(super) fn step_problems<'a>(
    config: &'a Config,
    index: usize,
    step: &'a StepConfig,
    reads: &[StepReads],
) -> Vec<SettingProblem<'a>> {
    let at = |key| key_path(["step"]).item(index).key(key);
    let mut problems = Vec::new();
    problems.extend(name_problem(at("name"), &step.name, false));
    let earlier = config.step.iter().take(index);
    if earlier.into_iter().any(|other| other.name == step.name) {
        let message = text!("two steps are named `{}`", "有两个步骤都叫 `{}`", step.name);
        problems.push(SettingProblem::value(
            at("name"),
            message,
            text!("choose another name", "请换一个名字"),
        ));
    }
    problems.extend(url_problem(at("url"), &step.url));
    problems.extend(body_problem(step, at));
    for name in step.headers.keys() {
        let parsed = name.parse::<http::HeaderName>();
        let is_usable = parsed.is_ok_and(|name| !RESERVED_HEADERS.contains(&name.as_str()));
        if !is_usable {
            let message = text!("this header cannot be set", "这个请求头不能设置");
            let help = text!(
                "a header name other than {}",
                "除 {} 以外的请求头名",
                RESERVED_HEADERS.join(", ")
            );
            problems.push(SettingProblem::key(at("headers").key(name), message, help));
        }
    }
    let Some(own) = reads.get(index).filter(|_| step.cache.is_some()) else {
        return problems;
    };
    let reads_uncached = own.steps.iter().any(|earlier| {
        let earlier = config.step.get(*earlier);
        earlier.is_some_and(|earlier| earlier.cache.is_none())
    });
    if own.is_personal || reads_uncached {
        let message = text!(
            "the answer of one person would be kept for all others",
            "一个人的响应会留给其他所有人"
        );
        let help = text!(
            "a step with `cache` reads neither `code`, `params` and `state` (with state = \"\" nor \
                    `callback`) nor a step without `cache`",
            "带 `cache` 的步骤不能读取 `code`、`params` 和 `state`（state = \"\" 时还有 `callback`），也不能读取不带 `cache` 的步骤"
        );
        problems.push(SettingProblem::key(at("cache"), message, help));
    }
    problems
}

fn body_problem<'a>(
    step: &StepConfig,
    at: impl Fn(&'static str) -> KeyPath<'a>,
) -> Option<SettingProblem<'a>> {
    let (key, message, help) = match (step.method, &step.json, &step.form) {
        (StepMethod::Post, Some(_), Some(_)) => (
            "form",
            text!(
                "`json` and `form` exclude each other",
                "`json` 和 `form` 只能写一个"
            ),
            text!("keep one of them", "请保留其中一个"),
        ),
        (StepMethod::Get, Some(_), _) => (
            "json",
            text!("a GET has no body", "GET 没有请求体"),
            text!("write method = \"POST\"", "请写 method = \"POST\""),
        ),
        (StepMethod::Get, None, Some(_)) => (
            "form",
            text!("a GET has no body", "GET 没有请求体"),
            text!(
                "write method = \"POST\", or use `query`",
                "请写 method = \"POST\"，或用 `query`"
            ),
        ),
        _ => return None,
    };
    Some(SettingProblem::key(at(key), message, help))
}
