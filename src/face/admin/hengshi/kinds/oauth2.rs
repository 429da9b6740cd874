//! `oauth2`: an OAuth 2 provider with a profile endpoint.

use serde_json::Value;

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::Before;

/// The members of the profile that may be the login, if no mapping names one.
const LOGIN_MEMBERS: [&str; 7] = [
    "preferred_username",
    "login",
    "username",
    "loginName",
    "email",
    "sub",
    "id",
];

/// The members that identify a person.
const SUBJECT_MEMBERS: [&str; 2] = ["sub", "id"];

const SUBJECT: &str = "oauth2.subject";
const MAPPED_LOGIN: &str = "mapping.login";
const SEND_REDIRECT_URI: (&str, &str) = ("appendRedirectUri", "oauth2.send_redirect_uri");
const SCOPES: (&str, &str) = ("scope", "oauth2.scopes");

/// The endpoints: the field, and the key.
const ENDPOINTS: [(&str, &str); 3] = [
    ("authorizationBaseUrl", "oauth2.authorize_url"),
    ("accessTokenEndpoint", "oauth2.token_url"),
    ("profileUrl", "oauth2.profile_url"),
];

/// How HENGSHI carries the page to which a person returns. All of them end where the person wanted to go,
/// because the sealed flow remembers it.
const DELIVERIES: [&str; 4] = ["url", "state", "cookie", "session"];

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    let has_preset = before.in_menshen("oauth2.preset").is_some();
    let key = form.required("key");
    draft.say_if("key", "oauth2.client_id", key);
    let secret = form.secret("secret");
    draft.say_secret("secret", "oauth2.client_secret", secret);
    for (field, path) in ENDPOINTS {
        let url = match has_preset {
            true => form.url(field),
            false => form.required_url(field),
        };
        draft.say_if(field, path, url);
    }
    let (field, path) = SCOPES;
    if let Some(text) = form.text(field) {
        let scopes = text.split([' ', ',']).filter(|scope| !scope.is_empty());
        draft.say(field, path, scopes.collect::<Vec<_>>());
    }
    let logout_url = form.url("logoutUrl");
    let return_param = form.text("afterLogoutUriParamName");
    if logout_url.is_some() {
        let path = "oauth2.logout_return_param";
        draft.say_if("afterLogoutUriParamName", path, return_param);
    }
    draft.say_if("logoutUrl", "oauth2.logout_url", logout_url);
    form.choice("originUrlDeliveryMethod", &DELIVERIES);
    let (field, path) = SEND_REDIRECT_URI;
    let append = form.flag(field);
    draft.say_if(field, path, append);
    let login = every_kind::read_login(form, draft, Shape::Plain);
    if !has_preset {
        let default = default_login();
        let login = login.as_ref().unwrap_or(&default);
        draft.imply(SUBJECT, subject(login));
        if *login == default {
            draft.imply(MAPPED_LOGIN, default);
        }
    }
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    fields.put_if("key", rest.take_text("oauth2.client_id"));
    fields.put_secret("secret", rest, "oauth2.client_secret");
    for (field, path) in ENDPOINTS {
        fields.put_if(field, rest.take_text(path));
    }
    let (field, path) = SCOPES;
    let scopes = rest.find(path).and_then(Value::as_array).map(|scopes| {
        let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
        scopes.join(" ")
    });
    if let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) {
        rest.take(path);
        fields.put(field, scopes);
    }
    if let Some(url) = rest.take_text("oauth2.logout_url") {
        fields.put("logoutUrl", url);
        let return_param = rest.take_text("oauth2.logout_return_param");
        fields.put_if("afterLogoutUriParamName", return_param);
    }
    let (field, path) = SEND_REDIRECT_URI;
    if rest.find(path).is_some_and(Value::is_boolean) {
        fields.put_if(field, rest.take(path));
    }
    if let Some(login) = rest.text(MAPPED_LOGIN) {
        let implied = Value::from(subject(login));
        rest.take_if(SUBJECT, &implied);
        rest.take_if(MAPPED_LOGIN, &Value::from(default_login()));
    }
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}

/// The first of the usual members that the profile has.
fn default_login() -> String {
    let (last, others) = LOGIN_MEMBERS.split_last().unwrap_or((&"id", &[]));
    let otherwise = format!("profile.{last}");
    others.iter().rev().fold(otherwise, |otherwise, member| {
        format!("{} ? profile.{member} : {otherwise}", has(member))
    })
}

/// The identifier of a person: one of the provider, else the login.
fn subject(login: &str) -> String {
    let otherwise = format!("string({login})");
    SUBJECT_MEMBERS
        .iter()
        .rev()
        .fold(otherwise, |otherwise, member| {
            format!("{} ? string(profile.{member}) : {otherwise}", has(member))
        })
}

fn has(member: &str) -> String {
    format!("has(profile.{member}) && profile.{member} != null && profile.{member} != ''")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expression::{Expression, Scope, Value as CelValue};
    use crate::people::profile::evaluate_over_profile;

    fn evaluated(text: &str, profile: &Value) -> Option<CelValue> {
        let expression = Expression::compile(text, Scope::Mapping).unwrap();
        evaluate_over_profile(&expression, profile).ok()
    }

    #[test]
    fn the_login_and_the_subject_are_the_first_members_that_are_there() {
        let text = |text: &str| Some(CelValue::Text(text.to_owned()));
        let login = default_login();
        for (profile, expected_login, expected_subject) in [
            (json!({ "id": 7, "login": "zs" }), text("zs"), text("7")),
            (
                json!({ "sub": "s", "preferred_username": "zs", "login": "x" }),
                text("zs"),
                text("s"),
            ),
            (
                json!({ "username": "", "loginName": "zs", "email": null }),
                text("zs"),
                text("zs"),
            ),
            (json!({ "id": "7" }), text("7"), text("7")),
            (json!({ "id": 7 }), Some(CelValue::Int(7)), text("7")),
            (json!({ "name": "zs" }), None, None),
        ] {
            assert_eq!(evaluated(&login, &profile), expected_login, "{profile}");
            let subject = evaluated(&subject(&login), &profile);
            assert_eq!(subject, expected_subject, "{profile}");
        }
    }
}
