//! Problems for programs: `application/problem+json` (RFC 9457).

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Cause, Lang};
use crate::login::connector::LocalizedText;

#[derive(Clone, Copy, Debug)]
pub struct ProblemJson<'a> {
    /// The language of title and detail.
    pub lang: Lang,
    /// The kind of problem: [`Cause::slug`], or a name of the same form.
    pub slug: &'a str,
    pub title: &'a str,
    pub detail: &'a str,
    /// The request ID, by which an administrator finds the request in the log.
    pub request_id: &'a str,
    /// The absolute URL where a person can log in.
    pub login_url: Option<&'a str>,
    /// The authentication contexts that the route accepts, if the caller's is not sufficient.
    pub acr_values: &'a [String],
    /// The maximum age of the authentication that the route accepts.
    pub max_age: Option<Duration>,
}

/// The title of the problem that a person must log in.
pub fn login_needed_title(lang: Lang) -> &'static str {
    lang.pick(LocalizedText {
        en: "Sign in first",
        zh: "请先登录",
    })
}

impl<'a> ProblemJson<'a> {
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// A problem without `login_url`, `acr_values` and `max_age`.
    pub fn new(
        slug: &'a str,
        title: &'a str,
        detail: &'a str,
        lang: Lang,
        request_id: &'a str,
    ) -> Self {
        Self {
            lang,
            slug,
            title,
            detail,
            request_id,
            login_url: None,
            acr_values: &[],
            max_age: None,
        }
    }

    /// The problem that a page shows to people.
    pub fn of(cause: Cause, lang: Lang, request_id: &'a str) -> Self {
        let (title, detail) = (cause.title(lang), cause.detail(lang));
        Self::new(cause.slug(), title, detail, lang, request_id)
    }

    /// The JSON with the members of RFC 9457 and `request_id`, `login_url`, `acr_values`, `max_age`. `status` is
    /// that of the response.
    pub fn render(&self, status: u16) -> String {
        let mut members = Map::new();
        members.insert(
            "type".to_owned(),
            format!("urn:menshen:problem:{}", self.slug).into(),
        );
        members.insert("title".to_owned(), self.title.into());
        members.insert("status".to_owned(), status.into());
        members.insert("detail".to_owned(), self.detail.into());
        members.insert("request_id".to_owned(), self.request_id.into());
        if let Some(url) = self.login_url {
            members.insert("login_url".to_owned(), url.into());
        }
        if !self.acr_values.is_empty() {
            members.insert("acr_values".to_owned(), self.acr_values.into());
        }
        if let Some(max_age) = self.max_age {
            members.insert("max_age".to_owned(), max_age.as_secs().into());
        }
        Value::Object(members).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_json_has_the_cause_and_the_login_url() {
        let mut problem = ProblemJson {
            login_url: Some("https://sso.corp.example/.menshen/sign_in"),
            acr_values: &["gold".to_owned()],
            max_age: Some(Duration::from_secs(600)),
            ..ProblemJson::new(
                "login-needed",
                "Sign in first",
                "say \"hello\"",
                Lang::En,
                "r-1",
            )
        };
        let json: Value = serde_json::from_str(&problem.render(401)).unwrap();
        assert_eq!(json["type"], "urn:menshen:problem:login-needed");
        assert_eq!(json["status"], 401);
        assert_eq!(json["detail"], "say \"hello\"");
        assert_eq!(
            json["login_url"],
            "https://sso.corp.example/.menshen/sign_in"
        );
        assert_eq!(json["acr_values"], serde_json::json!(["gold"]));
        assert_eq!(json["max_age"], 600);
        (problem.login_url, problem.acr_values, problem.max_age) = (None, &[], None);
        let json: Value = serde_json::from_str(&problem.render(401)).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 5);
    }
}
