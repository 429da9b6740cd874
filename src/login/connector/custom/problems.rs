//! Settings of `[connector.ID.custom]` that contradict each other or would let anybody in.

use url::Url;

use super::super::SettingProblem;
use super::super::entry_settings::{entry_parameter_problem, origin_problems, parameter_problem};
use super::config::{Config, NAME, OWN_STATE_PARAMETER, key_path};
use super::plan::{self, StepReads, reads_of_steps};
use crate::expression::{Expression, Scope};
use crate::setting::{KeyPath, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

mod steps;

use steps::{step_count_problem, step_problems};

/// The longest name of a step or a secret, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// All problems, in the order of the settings.
pub(super) fn of(config: &Config) -> Vec<SettingProblem<'_>> {
    let mut problems = login_page_problems(config);
    problems.extend(parameter_problems(config));
    problems.extend(state_problem(config));
    for name in config.secrets.keys() {
        problems.extend(name_problem(key_path(["secrets", name]), name, true));
    }
    let reads = reads_of_steps(config);
    problems.extend(step_count_problem(config, &reads));
    for (index, step) in config.step.iter().enumerate() {
        problems.extend(step_problems(config, index, step, &reads));
    }
    problems.extend(unknown_name_problems(config));
    if all_compile(config) && reads.iter().any(|reads| reads.is_personal) {
        problems.extend(result_problems(config, &reads));
    }
    problems
}

/// Whether `subject` and `profile` are those of the person who signs in.
fn result_problems<'a>(config: &'a Config, reads: &[StepReads]) -> Vec<SettingProblem<'a>> {
    let mut problems = Vec::new();
    for (key, source) in [("subject", &config.subject), ("profile", &config.profile)] {
        let Ok(expression) = Expression::compile(source, Scope::SourceCall) else {
            continue;
        };
        let read = plan::steps_read_by(config, config.step.len(), &expression);
        let read: Vec<&StepReads> = read.into_iter().filter_map(|it| reads.get(it)).collect();
        let is_personal = plan::is_of_one_login(config, &expression);
        if !is_personal && !read.iter().any(|step| step.is_personal) {
            let message = text!(
                "`{key}` is the same for everybody",
                "`{key}` 对所有人都一样"
            );
            let help = text!(
                "read the answer of a step that sends `code`, or one of `params`",
                "请读取发送 `code` 的那一步的响应，或 `params` 中的一个"
            );
            problems.push(SettingProblem::value(key_path([key]), message, help));
        } else if key == "subject"
            && config.entry.is_some()
            && !expression.reads("code")
            && !read.iter().any(|step| step.follows_code)
        {
            let message = text!(
                "a ticket could be used again: only `code` is accepted once",
                "票据可以重复使用：只有 `code` 限用一次"
            );
            let help = text!(
                "let the step that verifies the ticket send `code`, which is the value of `entry`",
                "请让验证票据的那一步发送 `code`，即 `entry` 的值"
            );
            problems.push(SettingProblem::value(key_path([key]), message, help));
        }
    }
    problems
}

fn login_page_problems(config: &Config) -> Vec<SettingProblem<'_>> {
    let mut problems = Vec::new();
    let Some(url) = &config.authorize_url else {
        if config.entry.is_none() {
            let message = text!(
                "nobody could sign in: there is neither `authorize_url` nor `entry`",
                "没有人能登录：`authorize_url` 和 `entry` 都没有"
            );
            let help = text!(
                "add the page at which a login begins, or the parameter of an arrival",
                "请加上开始登录的页面，或进入时的参数"
            );
            problems.push(SettingProblem::key(KeyPath::of([NAME]), message, help));
        }
        if !config.authorize.is_empty() {
            let message = text!(
                "`authorize` has no effect without `authorize_url`",
                "没有 `authorize_url`，`authorize` 不起作用"
            );
            let key_path = key_path(["authorize"]);
            problems.push(SettingProblem::key(
                key_path,
                message,
                text!("remove it", "请删除它"),
            ));
        }
        return problems;
    };
    problems.extend(url_problem(key_path(["authorize_url"]), url));
    for name in config.authorize.keys() {
        let is_repeated = url.query_pairs().any(|(known, _)| known == name.as_str());
        if name.is_empty() || is_repeated {
            let key_path = key_path(["authorize", name]);
            let message = text!(
                "this parameter has no name, or is in `authorize_url` already",
                "这个参数没有名字，或已经在 `authorize_url` 里"
            );
            problems.push(SettingProblem::key(
                key_path,
                message,
                text!("keep one of the two", "请保留其中一个"),
            ));
        }
    }
    problems
}

/// The names of the parameters that come back.
fn parameter_problems(config: &Config) -> Vec<SettingProblem<'_>> {
    let mut problems = Vec::new();
    problems.extend(parameter_problem(key_path(["code"]), &config.code));
    if !config.state.is_empty() {
        problems.extend(parameter_problem(key_path(["state"]), &config.state));
    }
    let returned_state = match config.state.as_str() {
        "" => OWN_STATE_PARAMETER,
        name => name,
    };
    if config.code == returned_state {
        let message = text!(
            "`{returned_state}` returns the state, not the code",
            "`{returned_state}` 返回的是 state，不是授权码"
        );
        let help = text!(
            "the portal needs another parameter for the code",
            "门户需要用另一个参数返回授权码"
        );
        problems.push(SettingProblem::value(key_path(["code"]), message, help));
    }
    if let Some(entry) = &config.entry {
        problems.extend(entry_parameter_problem(key_path(["entry"]), entry));
    }
    problems.extend(origin_problems(&key_path(["origins"]), &config.origins));
    if config.entry_replay.duration().is_zero() {
        let message = text!(
            "entry_replay must not be 0: a ticket could be used again",
            "entry_replay 不能为 0：票据可以重复使用"
        );
        let key_path = key_path(["entry_replay"]);
        problems.push(SettingProblem::value(
            key_path,
            message,
            text!("such as \"1h\"", "例如 \"1h\""),
        ));
    }
    problems
}

/// Without a state that comes back, anybody could make a browser finish a login that it did not begin.
fn state_problem(config: &Config) -> Option<SettingProblem<'_>> {
    config.authorize_url.as_ref()?;
    let variable = if config.state.is_empty() {
        "callback"
    } else {
        "state"
    };
    let carries_it = config.authorize.values().any(|source| {
        // An expression that does not compile is reported elsewhere.
        let compiled = Expression::compile(source, Scope::LoginPage);
        compiled.map_or(true, |expression| expression.reads(variable))
    });
    if carries_it {
        return None;
    }
    let message = text!(
        "no parameter of `authorize` carries `{variable}`",
        "`authorize` 中没有参数带 `{variable}`"
    );
    let help = match variable {
        "callback" => {
            text!(
                "with state = \"\" the state is in `callback`: add the parameter for the address to return to",
                "state = \"\" 时，state 在 `callback` 里：请加上返回地址的参数"
            )
        }
        _ => {
            text!(
                "add a parameter such as state = \"state\"; if the portal returns none, write state = \"\" and \
              a parameter with `callback`",
                "请加上参数，例如 state = \"state\"；如果门户不返回它，请写 state = \"\"，并加上带 `callback` 的参数"
            )
        }
    };
    let key_path = match config.authorize.is_empty() {
        true => KeyPath::of([NAME]),
        false => key_path(["authorize"]),
    };
    Some(SettingProblem::key(key_path, message, help))
}

/// An expression that does not compile is reported elsewhere, and may be the one that reads the code.
fn all_compile(config: &Config) -> bool {
    let mut placed = plan::expressions(config).into_iter();
    placed.all(|placed| Expression::compile(placed.source, placed.scope).is_ok())
}

/// Names of steps and secrets that an expression reads and that are not there, or not yet.
fn unknown_name_problems(config: &Config) -> Vec<SettingProblem<'_>> {
    let mut problems = Vec::new();
    for placed in plan::expressions(config) {
        let Ok(expression) = Expression::compile(placed.source, placed.scope) else {
            continue;
        };
        let known = config.step.iter().take(placed.known_steps);
        let known: Vec<&str> = known.map(|step| step.name.as_str()).collect();
        let mut refuse = |message: Text, help: Text| {
            let key_path = placed.key_path.clone();
            problems.push(SettingProblem::value(key_path, message, help));
        };
        for step in expression.fields_of("steps") {
            if !known.contains(&step) {
                let help = text!(
                    "an expression reads the answers of earlier steps only",
                    "表达式只能读取前面步骤的响应"
                );
                refuse(
                    text!("there is no earlier step `{step}`", "前面没有步骤 `{step}`"),
                    help,
                );
            }
        }
        for secret in expression.fields_of("secrets") {
            if !config.secrets.contains_key(secret) {
                let help = text!(
                    "add it to [connector.ID.custom.secrets]",
                    "请把它加到 [connector.ID.custom.secrets]"
                );
                refuse(
                    text!("there is no secret `{secret}`", "没有密钥 `{secret}`"),
                    help,
                );
            }
        }
    }
    problems
}

/// The problem with the name of a step or a secret, which expressions select as a field.
fn name_problem<'a>(key_path: KeyPath<'a>, name: &str, is_key: bool) -> Option<SettingProblem<'a>> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if begins_well && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_allowed) {
        return None;
    }
    let message = text!(
        "expressions cannot read this name",
        "表达式无法读取这个名字"
    );
    let help = text!(
        "a letter, then letters, digits and _, at most {NAME_BYTES_MAX}",
        "应以字母开头，由字母、数字和 _ 组成，最多 {NAME_BYTES_MAX} 个"
    );
    Some(SettingProblem {
        points_at_key: is_key,
        ..SettingProblem::value(key_path, message, help)
    })
}

/// Requires https, or http on this machine: who can change an answer of the portal can sign in as anybody.
fn url_problem<'a>(key_path: KeyPath<'a>, url: &Url) -> Option<SettingProblem<'a>> {
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let (message, help) = if !is_http || has_credentials || url.fragment().is_some() {
        let help = text!(
            "a URL with https:// and a host, without user, password and fragment",
            "应为带 https:// 和主机的 URL，不带用户名、密码和片段"
        );
        (text!("this URL cannot be used", "这个 URL 无法使用"), help)
    } else if sends_in_clear_text(url) {
        let message = text!(
            "over plain http an attacker in the network can forge any identity",
            "明文 http 下，网络中的攻击者可以伪造任何身份"
        );
        (
            message,
            text!(
                "use https://; http only on this machine",
                "请用 https://；http 只能用于本机"
            ),
        )
    } else {
        return None;
    };
    Some(SettingProblem::value(key_path, message, help))
}
