//! `dingtalk`: 钉钉.

use serde_json::Value;

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::{Before, required_secret};

const LOGIN_TYPE: &str = "dtLoginType";
const MODE: &str = "dingtalk.mode";
/// By the client inside it, and the QR page elsewhere.
const AUTH_CODE: &str = "authCode";
/// Always the QR page.
const QR: &str = "qrConnect";
const PERIOD: &str = "schedulerPeriod";
const SYNC_EVERY: &str = "dingtalk.sync_every";
/// The longest period between two syncs, in minutes: a year.
const PERIOD_MAX: u64 = 525_600;

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let key = form.required("appKey");
    draft.say_if("appKey", "dingtalk.app_key", key);
    required_secret(form, draft, before, ("appSecret", "dingtalk.app_secret"));
    let corp_id = form.sent_as(["corpId", "CorpId"]);
    let text = form.required(corp_id);
    draft.say_if(corp_id, "dingtalk.corp_id", text);
    let secret = form.secret("ssoSecret");
    draft.say_secret("ssoSecret", "dingtalk.sso_secret", secret);
    match form.choice(LOGIN_TYPE, &[AUTH_CODE, QR]) {
        Some(QR) => draft.say(LOGIN_TYPE, MODE, "web"),
        Some(_) => draft.say(LOGIN_TYPE, MODE, "auto"),
        None => {}
    }
    match form.number(PERIOD) {
        None | Some(0) => {}
        Some(minutes) if minutes <= PERIOD_MAX => {
            draft.say(PERIOD, SYNC_EVERY, format!("{minutes}m"));
        }
        Some(_) => {
            let zh = format!("太大，最多 {PERIOD_MAX} 分钟");
            let en = format!("it is too long: at most {PERIOD_MAX} minutes");
            form.refuse(PERIOD, zh, en);
        }
    }
    every_kind::read_login(form, draft, Shape::Plain);
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if("appKey", rest.take_text("dingtalk.app_key"));
    fields.put_secret("appSecret", rest, "dingtalk.app_secret");
    fields.put_if("corpId", rest.take_text("dingtalk.corp_id"));
    fields.put_secret("ssoSecret", rest, "dingtalk.sso_secret");
    for (mode, login_type) in [("web", QR), ("auto", AUTH_CODE)] {
        if rest.take_if(MODE, &Value::from(mode)) {
            fields.put(LOGIN_TYPE, login_type);
        }
    }
    let minutes = rest
        .text(SYNC_EVERY)
        .and_then(|text| text.strip_suffix('m'));
    let minutes: Option<u64> = minutes.and_then(|text| text.parse().ok());
    if let Some(minutes) = minutes.filter(|minutes| (1..=PERIOD_MAX).contains(minutes)) {
        rest.take(SYNC_EVERY);
        fields.put(PERIOD, minutes);
    }
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}
