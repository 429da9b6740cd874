//! Settings of `[connector.ID.custom]` that contradict each other or would let anybody in.

use url::Url;

use super::super::SettingProblem;
use super::super::entry_settings::{entry_parameter_problem, origin_problems, parameter_problem};
use super::config::{Config, NAME, OWN_STATE_PARAMETER, StepConfig, StepMethod, key_path};
use super::plan::{self, StepReads, reads_of_steps};
use super::step::STEPS_MAX;
use crate::expression::{Expression, Scope};
use crate::setting::{KeyPath, sends_in_clear_text};

/// The longest name of a step or a secret, in bytes.
const NAME_BYTES_MAX: usize = 64;

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

/// Whether `subject` and `profile` are those of the one who signs in.
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
            let message = format!("`{key}` is the same for everybody");
            let help = "read the answer of a step that sends `code`, or one of `params`";
            problems.push(SettingProblem::value(key_path([key]), message, help));
        } else if key == "subject"
            && config.entry.is_some()
            && !expression.reads("code")
            && !read.iter().any(|step| step.follows_code)
        {
            let message = "a ticket could be used again: only `code` is accepted once";
            let help =
                "let the step that verifies the ticket send `code`, which is the value of `entry`";
            problems.push(SettingProblem::value(key_path([key]), message, help));
        }
    }
    problems
}

fn login_page_problems(config: &Config) -> Vec<SettingProblem<'_>> {
    let mut problems = Vec::new();
    let Some(url) = &config.authorize_url else {
        if config.entry.is_none() {
            let message = "nobody could sign in: there is neither `authorize_url` nor `entry`";
            let help = "add the page at which a login begins, or the parameter of an arrival";
            problems.push(SettingProblem::key(KeyPath::of([NAME]), message, help));
        }
        if !config.authorize.is_empty() {
            let message = "`authorize` has no effect without `authorize_url`";
            let key_path = key_path(["authorize"]);
            problems.push(SettingProblem::key(key_path, message, "remove it"));
        }
        return problems;
    };
    problems.extend(url_problem(key_path(["authorize_url"]), url));
    for name in config.authorize.keys() {
        let is_repeated = url.query_pairs().any(|(known, _)| known == name.as_str());
        if name.is_empty() || is_repeated {
            let key_path = key_path(["authorize", name]);
            let message = "this parameter has no name, or is in `authorize_url` already";
            problems.push(SettingProblem::key(
                key_path,
                message,
                "keep one of the two",
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
        let message = format!("`{returned_state}` returns the state, not the code");
        let help = "the portal needs another parameter for the code";
        problems.push(SettingProblem::value(key_path(["code"]), message, help));
    }
    if let Some(entry) = &config.entry {
        problems.extend(entry_parameter_problem(key_path(["entry"]), entry));
    }
    problems.extend(origin_problems(&key_path(["origins"]), &config.origins));
    if config.entry_replay.duration().is_zero() {
        let message = "entry_replay must not be 0: a ticket could be used again";
        let key_path = key_path(["entry_replay"]);
        problems.push(SettingProblem::value(key_path, message, "such as \"1h\""));
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
    let message = format!("no parameter of `authorize` carries `{variable}`");
    let help = match variable {
        "callback" => {
            "with state = \"\" the state is in `callback`: add the parameter for the address to return to"
        }
        _ => {
            "add a parameter such as state = \"state\"; if the portal returns none, write state = \"\" and \
              a parameter with `callback`"
        }
    };
    let key_path = match config.authorize.is_empty() {
        true => KeyPath::of([NAME]),
        false => key_path(["authorize"]),
    };
    Some(SettingProblem::key(key_path, message, help))
}

fn step_count_problem<'a>(config: &Config, reads: &[StepReads]) -> Option<SettingProblem<'a>> {
    let (key_path, message, help) = if config.step.is_empty() {
        let message = "without a step nobody verifies the code";
        let help = "add [[connector.ID.custom.step]] with the request that redeems it";
        (KeyPath::of([NAME]), message.to_owned(), help)
    } else if config.step.len() > STEPS_MAX {
        let message = format!("a login has at most {STEPS_MAX} steps");
        (key_path(["step"]), message, "remove some")
    } else if all_compile(config) && !reads.iter().any(|reads| reads.is_personal) {
        let message = "no step reads what the browser brought: everybody would be the same person";
        let help = "one of the requests must send `code`, or one of `params`";
        (key_path(["step"]), message.to_owned(), help)
    } else {
        return None;
    };
    Some(SettingProblem::key(key_path, message, help))
}

/// An expression that does not compile is reported elsewhere, and may be the one that reads the code.
fn all_compile(config: &Config) -> bool {
    let mut placed = plan::expressions(config).into_iter();
    placed.all(|placed| Expression::compile(placed.source, placed.scope).is_ok())
}

fn step_problems<'a>(
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
        let message = format!("two steps are named `{}`", step.name);
        problems.push(SettingProblem::value(
            at("name"),
            message,
            "choose another name",
        ));
    }
    problems.extend(url_problem(at("url"), &step.url));
    problems.extend(body_problem(step, at));
    for name in step.headers.keys() {
        let parsed = name.parse::<http::HeaderName>();
        let is_usable = parsed.is_ok_and(|name| !RESERVED_HEADERS.contains(&name.as_str()));
        if !is_usable {
            let message = "this header cannot be set";
            let help = format!("a header name other than {}", RESERVED_HEADERS.join(", "));
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
        let message = "the answer of one person would be kept for all others";
        let help = "a step with `cache` reads neither `code`, `params` and `state` (with state = \"\" nor \
                    `callback`) nor a step without `cache`";
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
            "`json` and `form` exclude each other",
            "keep one of them",
        ),
        (StepMethod::Get, Some(_), _) => ("json", "a GET has no body", "write method = \"POST\""),
        (StepMethod::Get, None, Some(_)) => (
            "form",
            "a GET has no body",
            "write method = \"POST\", or use `query`",
        ),
        _ => return None,
    };
    Some(SettingProblem::key(at(key), message, help))
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
        let mut refuse = |message: String, help: &str| {
            let key_path = placed.key_path.clone();
            problems.push(SettingProblem::value(key_path, message, help));
        };
        for step in expression.fields_of("steps") {
            if !known.contains(&step) {
                let help = "an expression reads the answers of earlier steps only";
                refuse(format!("there is no earlier step `{step}`"), help);
            }
        }
        for secret in expression.fields_of("secrets") {
            if !config.secrets.contains_key(secret) {
                let help = "add it to [connector.ID.custom.secrets]";
                refuse(format!("there is no secret `{secret}`"), help);
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
    let message = "expressions cannot read this name";
    let help = format!("a letter, then letters, digits and _, at most {NAME_BYTES_MAX}");
    Some(SettingProblem {
        points_at_key: is_key,
        ..SettingProblem::value(key_path, message, help)
    })
}

/// Whoever can change an answer of the portal can be anybody, so only https counts, or this machine.
fn url_problem<'a>(key_path: KeyPath<'a>, url: &Url) -> Option<SettingProblem<'a>> {
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let (message, help) = if !is_http || has_credentials || url.fragment().is_some() {
        let help = "a URL with https:// and a host, without user, password and fragment";
        ("this URL cannot be used", help)
    } else if sends_in_clear_text(url) {
        let message = "over plain http an attacker in the network can forge any identity";
        (message, "use https://; http only on this machine")
    } else {
        return None;
    };
    Some(SettingProblem::value(key_path, message, help))
}
