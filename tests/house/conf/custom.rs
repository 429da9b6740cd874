//! Problems and warnings of `[connector.ID.custom]`.

use super::parse;
use super::problems::parse_error;
use super::warnings::warned_keys;

/// A portal with a token and a code.
const PORTAL: &str = r#"[server]
external_url = "https://sso.corp.example"
[connector.ctr.custom]
authorize_url = "https://portal.corp.example/authorize"
subject = "steps.user.id"
profile = "steps.user"
[connector.ctr.custom.authorize]
redirect_uri = "callback"
state = "state"
[connector.ctr.custom.secrets]
key = { file = "/etc/menshen/portal.secret" }
[[connector.ctr.custom.step]]
name = "token"
method = "POST"
url = "https://portal.corp.example/token"
json = "{'secret': secrets.key}"
cache = "answer.expires_in"
[[connector.ctr.custom.step]]
name = "user"
url = "https://portal.corp.example/user"
query = { code = "code", token = "steps.token.value" }
success = "answer.code == 0"
"#;

/// The line of a text in [`PORTAL`], from 1.
fn line_of(text: &str, part: &str) -> usize {
    let at = text
        .find(part)
        .unwrap_or_else(|| panic!("{part} in {text}"));
    text[..at].matches('\n').count() + 1
}

/// Asserts that [`PORTAL`] with a replacement is refused at the line of `at`, with these words.
fn assert_refused(from: &str, to: &str, at: &str, words: &str) {
    let text = PORTAL.replacen(from, to, 1);
    assert_ne!(text, PORTAL, "{from}");
    let error = parse_error(&text);
    let shown = error.to_string();
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert!(lines.contains(&line_of(&text, at)), "{lines:?} {shown}");
    assert!(shown.contains(words), "`{words}` in:\n{shown}");
}

#[test]
fn a_state_that_does_not_come_back_is_refused() {
    parse(PORTAL);
    let own = "[connector.ctr.custom.authorize]";
    assert_refused(
        "state = \"state\"\n",
        "",
        own,
        "no parameter of `authorize` carries `state`",
    );
    assert_refused(
        "state = \"state\"\n",
        "state = \"'fixed'\"\n",
        own,
        "carries `state`",
    );
    // With the state in the callback, the callback must be sent.
    let without_state = |text: &str| text.replacen("subject =", "state = \"\"\nsubject =", 1);
    let in_callback = without_state(PORTAL).replace("\nstate = \"state\"\n", "\n");
    parse(&in_callback);
    let nowhere = in_callback.replace("redirect_uri = \"callback\"\n", "a = \"'b'\"\n");
    let shown = parse_error(&nowhere).to_string();
    assert!(
        shown.contains("no parameter of `authorize` carries `callback`"),
        "{shown}"
    );
    let without_any = in_callback.replace("redirect_uri = \"callback\"\n", "");
    let shown = parse_error(&without_any).to_string();
    assert!(shown.contains("carries `callback`"), "{shown}");
}

#[test]
fn steps_are_few_have_names_of_their_own_and_verify_somebody() {
    let step = "[[connector.ctr.custom.step]]\nname = 'NAME'\nurl = 'https://a.example/'\n";
    let with_steps = |count: usize| {
        let more = (2..count).map(|number| step.replace("NAME", &format!("s{number}")));
        format!("{PORTAL}{}", more.collect::<String>())
    };
    parse(&with_steps(8));
    let shown = parse_error(&with_steps(9)).to_string();
    assert!(shown.contains("a login has at most 8 steps"), "{shown}");
    let without = &PORTAL[..PORTAL.find("[[connector").unwrap()];
    let shown = parse_error(without).to_string();
    assert!(
        shown.contains("without a step nobody verifies the code"),
        "{shown}"
    );
    assert_refused(
        "name = \"user\"",
        "name = \"token\"",
        "name = \"token\"\nurl",
        "two steps are named",
    );
    for name in ["", "1a", "a-b", "a.b", "用户"] {
        let to = format!("name = \"{name}\"");
        assert_refused(
            "name = \"token\"",
            &to,
            &to,
            "expressions cannot read this name",
        );
    }
    let query = "query = { code = \"code\", ";
    assert_refused(
        query,
        "query = { ",
        "[[connector",
        "everybody would be the same person",
    );
}

#[test]
fn an_answer_of_one_person_is_never_kept_for_others() {
    let json = "json = \"{'secret': secrets.key}\"";
    for personal in ["code", "params.a", "state", "params"] {
        let to = format!("json = \"{{'secret': {personal}}}\"");
        assert_refused(
            json,
            &to,
            "cache =",
            "the answer of one person would be kept for all others",
        );
    }
    let of_user = "success = \"answer.code == 0\"\ncache = \"60\"\n";
    assert_refused(
        "success = \"answer.code == 0\"\n",
        of_user,
        "cache = \"60\"",
        "of one person",
    );
    let more =
        "[[connector.ctr.custom.step]]\nname = 'c'\nurl = 'https://a.example/'\ncache = '60'\n";
    let reads_user = format!("{PORTAL}{more}query = {{ a = 'steps.user.id' }}\n");
    assert!(
        parse_error(&reads_user)
            .to_string()
            .contains("of one person")
    );
    parse(&format!(
        "{PORTAL}{more}query = {{ a = 'steps.token.id' }}\n"
    ));
}

#[test]
fn with_the_state_in_the_callback_an_answer_for_a_callback_is_that_of_one_person() {
    let json = "json = \"{'secret': secrets.key, 'to': callback}\"";
    let with_callback = PORTAL.replacen("json = \"{'secret': secrets.key}\"", json, 1);
    parse(&with_callback);
    let without_state = with_callback
        .replacen("subject =", "state = \"\"\nsubject =", 1)
        .replace("\nstate = \"state\"\n", "\n");
    let shown = parse_error(&without_state).to_string();
    assert!(
        shown.contains("the answer of one person would be kept for all others"),
        "{shown}"
    );
    parse(&without_state.replace("cache = \"answer.expires_in\"\n", ""));
}

#[test]
fn a_result_that_is_the_same_for_everybody_is_refused() {
    for (key, from, to) in [
        ("subject", "\"steps.user.id\"", "\"steps.token.id\""),
        ("subject", "\"steps.user.id\"", "\"'fixed'\""),
        ("subject", "\"steps.user.id\"", "\"callback\""),
        ("profile", "\"steps.user\"", "\"steps.token\""),
        ("profile", "\"steps.user\"", "\"{'login': secrets.key}\""),
    ] {
        let words = format!("`{key}` is the same for everybody");
        assert_refused(from, to, to.trim_matches('"'), &words);
    }
    // The answer of a later step is personal if it reads a personal one.
    let more = "[[connector.ctr.custom.step]]\nname = 'c'\nurl = 'https://a.example/'\n";
    let later = PORTAL.replacen("\"steps.user.id\"", "\"steps.c.id\"", 1) + more;
    parse_error(&later);
    parse(&format!("{later}query = {{ a = 'steps.user.id' }}\n"));
}

#[test]
fn a_ticket_that_is_not_accepted_once_is_refused() {
    let entry = PORTAL.replacen(
        "subject =",
        "entry = \"ticket\"\norigins = [\"https://portal.corp.example\"]\nsubject =",
        1,
    );
    parse(&entry);
    let other = entry.replace("code = \"code\"", "code = \"params.ticket\"");
    let shown = parse_error(&other).to_string();
    assert!(shown.contains("only `code` is accepted once"), "{shown}");
    // Without arrivals it is the portal that accepts a code once.
    parse(&PORTAL.replace("code = \"code\"", "code = \"params.ticket\""));
}

#[test]
fn expressions_know_only_what_is_there() {
    for (from, to, words) in [
        ("steps.user.id", "steps.users.id", "no earlier step `users`"),
        (
            "steps.token.value",
            "steps.user.value",
            "no earlier step `user`",
        ),
        ("secrets.key", "secrets.keys", "no secret `keys`"),
        ("\"callback\"", "\"code\"", "unknown variable `code`"),
        (
            "\"callback\"",
            "\"steps.token\"",
            "unknown variable `steps`",
        ),
        ("\"code\"", "\"answer.x\"", "unknown variable `answer`"),
        ("\"code\"", "\"user.login\"", "unknown variable `user`"),
        ("\"code\"", "\"(code\"", "does not compile"),
        ("\"code\"", "\"sha512(code)\"", "unknown function `sha512`"),
        ("\"code\"", "\"md5(code, code)\"", "unknown function `md5`"),
        ("answer.code == 0", "answer.code = 0", "does not compile"),
    ] {
        assert_refused(from, to, to.trim_matches('"'), words);
    }
    // These functions are for requests to a source.
    let mapping = format!("{PORTAL}[connector.ctr.mapping]\nlogin = 'md5(profile.id)'\n");
    assert!(
        parse_error(&mapping)
            .to_string()
            .contains("unknown function `md5`")
    );
}

const TOKEN: &str = "https://portal.corp.example/token";

/// A part of [`PORTAL`], what replaces it, and what the error says.
const IMPOSSIBLE: &[(&str, &str, &str)] = &[
    (TOKEN, "http://portal.corp.example/token", "over plain http"),
    (TOKEN, "ftp://portal.corp.example/token", "cannot be used"),
    (TOKEN, "https://u:p@portal.corp.example/", "cannot be used"),
    (TOKEN, "https://portal.corp.example/#a", "cannot be used"),
    (
        "https://portal.corp.example/authorize",
        "http://portal.corp.example/a",
        "over plain http",
    ),
    (
        "https://portal.corp.example/authorize",
        "https://p.example/?state=1",
        "in `authorize_url` already",
    ),
    ("method = \"POST\"\n", "", "a GET has no body"),
    (
        "method = \"POST\"",
        "method = \"PUT\"",
        "is not a choice here",
    ),
    (
        "cache =",
        "form = { a = \"'b'\" }\ncache =",
        "exclude each other",
    ),
    (
        "cache =",
        "headers = { Host = \"'b'\" }\ncache =",
        "this header cannot be set",
    ),
    (
        "cache =",
        "headers = { \"a b\" = \"'b'\" }\ncache =",
        "this header cannot be set",
    ),
    (
        "authorize_url = ",
        "code = \"state\"\nauthorize_url = ",
        "returns the state",
    ),
    (
        "authorize_url = ",
        "code = \"a b\"\nauthorize_url = ",
        "name of a parameter",
    ),
    (
        "authorize_url = ",
        "entry = \"rd\"\nauthorize_url = ",
        "of menshen itself",
    ),
    (
        "authorize_url = ",
        "entry_replay = \"0s\"\nauthorize_url = ",
        "must not be 0",
    ),
    (
        "authorize_url = ",
        "origins = [\"https://a/b\"]\nauthorize_url = ",
        "must be an origin",
    ),
    (
        "authorize_url = \"https://portal.corp.example/authorize\"\n",
        "",
        "nobody could sign in",
    ),
];

#[test]
fn urls_are_https_and_requests_possible() {
    for (from, to, words) in IMPOSSIBLE {
        let text = PORTAL.replacen(from, to, 1);
        let shown = parse_error(&text).to_string();
        assert!(shown.contains(words), "`{words}` in:\n{shown}");
    }
    parse(&PORTAL.replace("https://portal.corp.example", "http://127.0.0.1:8080"));
}

/// The keys of the connector that are warned of.
fn warned_of(text: &str) -> Vec<(String, usize)> {
    let warned = warned_keys(text).into_iter();
    warned
        .filter(|(key, _)| key.starts_with("connector."))
        .collect()
}

#[test]
fn weak_settings_are_warned_of() {
    assert_eq!(warned_of(PORTAL), []);
    for (from, to, key) in [
        (
            "{'secret': secrets.key}",
            "{'sign': md5(secrets.key)}",
            "step[0].json",
        ),
        (
            "{'secret': secrets.key}",
            "{'sign': sha1(secrets.key)}",
            "step[0].json",
        ),
        (
            "\"callback\"",
            "\"callback + secrets.key\"",
            "authorize.redirect_uri",
        ),
        ("steps.user.id", "params.user", "subject"),
        ("\"steps.user\"", "\"{'login': code}\"", "profile"),
    ] {
        let text = PORTAL.replacen(from, to, 1);
        let found = warned_of(&text);
        let key = format!("connector.ctr.custom.{key}");
        assert_eq!(
            found.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            [&key],
            "{to}"
        );
    }
    let entry = PORTAL.replacen("subject =", "entry = \"ticket\"\nsubject =", 1);
    assert_eq!(warned_of(&entry).len(), 1);
    let origins = "entry = \"ticket\"\norigins = [\"https://portal.corp.example\"]\nsubject =";
    assert_eq!(warned_of(&PORTAL.replacen("subject =", origins, 1)), []);
}
