//! `wechat-work`: 企业微信.

use serde_json::Value;

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::{Before, required_secret};

const LOGIN_TYPE: &str = "wcwLoginType";
const MODE: &str = "wecom.mode";
/// Silent inside the client, and the QR page elsewhere.
const OAUTH2: &str = "oauth2";
/// Always the QR page.
const QR: &str = "qrConnect";

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let key = form.required("key");
    draft.say_if("key", "wecom.corp_id", key);
    let problems = form.problems.len();
    let agent_id = form.number("agentId");
    if agent_id.is_none() && form.problems.len() == problems {
        form.missing("agentId");
    }
    draft.say_if("agentId", "wecom.agent_id", agent_id);
    required_secret(form, draft, before, ("secret", "wecom.secret"));
    match form.choice(LOGIN_TYPE, &[OAUTH2, QR]) {
        Some(QR) => draft.say(LOGIN_TYPE, MODE, "web"),
        Some(_) => draft.say(LOGIN_TYPE, MODE, "auto"),
        None => {}
    }
    every_kind::read_login(form, draft, Shape::Plain);
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if("key", rest.take_text("wecom.corp_id"));
    if rest.find("wecom.agent_id").is_some_and(Value::is_number) {
        fields.put_if("agentId", rest.take("wecom.agent_id"));
    }
    fields.put_secret("secret", rest, "wecom.secret");
    for (mode, login_type) in [("web", QR), ("auto", OAUTH2)] {
        if rest.take_if(MODE, &Value::from(mode)) {
            fields.put(LOGIN_TYPE, login_type);
        }
    }
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}
