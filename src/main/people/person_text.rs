//! What `menshen people` prints about a person.

use menshen::text;
use menshen::wording::Text;
use serde_json::Value;

use super::super::answer_text::{field_text, localized_field, operator_text, time_text};

pub(super) fn person_line(person: &Value) -> String {
    let field = |name: &str| field_text(&person[name]);
    let state = match person["closed"] == true {
        true => text!("closed", "已关闭"),
        false => text!("open", "正常"),
    };
    let state = state.for_operator();
    let (login, name) = (field("login"), field("name"));
    let (email, mobile) = (field("email"), field("mobile"));
    format!("{login}\t{state}\t{name}\t{email}\t{mobile}")
}

pub(super) fn show_text(person: &Value) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for name in ["login", "id", "name", "email", "mobile", "closed"] {
        line(format!("{name}: {}", field_text(&person[name])));
    }
    for name in ["created_at", "seen_at", "closed_at"] {
        line(format!("{name}: {}", time_text(&person[name])));
    }
    for name in ["closed_by", "closed_reason", "local_department"] {
        line(format!("{name}: {}", field_text(&person[name])));
    }
    let groups = person["local_groups"].as_array().into_iter().flatten();
    let groups: Vec<_> = groups.map(field_text).collect();
    line(format!("local_groups: {}", groups.join(", ")));
    for identity in person["identities"].as_array().into_iter().flatten() {
        let (connector, subject) = (&identity["connector"], &identity["subject"]);
        let state = field_text(&identity["state"]);
        line(format!(
            "identity: {} {} ({state})",
            field_text(connector),
            field_text(subject)
        ));
        for department in identity["departments"].as_array().into_iter().flatten() {
            let leads = match department["leads"] == true {
                true => text!(", leads it", "（负责人）"),
                false => Text::default(),
            };
            line(format!(
                "  department: {}{}",
                field_text(&department["id"]),
                leads.for_operator()
            ));
        }
    }
    for change in person["history"].as_array().into_iter().flatten() {
        let (at, what) = (time_text(&change["at"]), field_text(&change["what"]));
        let (by, detail) = (field_text(&change["by"]), field_text(&change["detail"]));
        let change = text!("{at} {what} by {by} {detail}", "{at} {what} {by} {detail}");
        line(change.for_operator().trim_end().to_owned());
    }
    text
}

pub(super) fn reopened_text(login: &str, answer: &Value) -> String {
    let mut text = operator_text(&text!("{login}: open", "{login}：已重新打开"));
    for taken in answer["identities_taken"].as_array().into_iter().flatten() {
        let (connector, subject) = (
            field_text(&taken["connector"]),
            field_text(&taken["subject"]),
        );
        text.push_str(
            text!(
                "\n{connector} {subject} belongs to another account now",
                "\n{connector} {subject} 现在属于别的账号"
            )
            .for_operator(),
        );
    }
    text
}

pub(super) fn access_text(answer: &Value) -> String {
    let routes = answer["routes"].as_array().into_iter().flatten();
    let lines = routes.map(|route| {
        let verdict = match route["allowed"].as_bool() {
            Some(true) => text!("allowed", "允许"),
            Some(false) => text!("refused", "拒绝"),
            None => text!("unknown", "无法判断"),
        };
        let is_explained = route["why"].as_str().is_some_and(|why| !why.is_empty());
        let why = match is_explained {
            true => {
                let why = localized_field(route, "why");
                text!(" ({why})", "（{why}）")
            }
            false => Text::default(),
        };
        let route = field_text(&route["route"]);
        operator_text(&text!(
            "{route}: {verdict}{why}\n",
            "{route}：{verdict:#}{why:#}\n"
        ))
    });
    lines.collect()
}
