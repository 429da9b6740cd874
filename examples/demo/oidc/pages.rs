//! The pages of the simulated provider, in the language of the browser.

use super::super::source::EMPLOYEES;
use super::CHOICE;

/// The text in the language of a browser.
fn pick<'a>(accept_language: &str, chinese: &'a str, english: &'a str) -> &'a str {
    match accept_language.starts_with("en") {
        true => english,
        false => chinese,
    }
}

/// The people who can sign in; `address` is the one of this page.
pub(super) fn people(address: &str, accept_language: &str) -> String {
    let people = EMPLOYEES.iter().map(|employee| {
        format!(
            "<li><a href=\"{}&amp;{CHOICE}={login}\" data-login=\"{login}\">{}</a> <small>{}</small></li>",
            escape(address),
            employee.name,
            employee.department,
            login = employee.login,
        )
    });
    let title = pick(accept_language, "统一身份认证", "Single sign-on");
    let question = pick(accept_language, "以谁的身份登录？", "Sign in as whom?");
    let people = people.collect::<String>();
    page(
        accept_language,
        &format!("<h1>{title}</h1><p>{question}</p><ul>{people}</ul>"),
    )
}

pub(super) fn unknown_client(accept_language: &str) -> String {
    let title = pick(
        accept_language,
        "client_id 或 redirect_uri 未登记",
        "client_id or redirect_uri is not registered",
    );
    page(accept_language, &format!("<h1>{title}</h1>"))
}

fn page(accept_language: &str, body: &str) -> String {
    let lang = pick(accept_language, "zh-CN", "en");
    let disclaimer = pick(
        accept_language,
        "模拟的登录服务，只用于演示。",
        "A simulated sign-in service, for the demo only.",
    );
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{disclaimer}</title>\
         <style>:root{{color-scheme:light dark}}body{{max-width:30rem;margin:10vh auto;padding:0 1rem;\
         font:16px/1.6 system-ui,sans-serif}}li{{margin:.75rem 0}}small,p{{color:GrayText}}</style></head>\
         <body>{body}<p>{disclaimer}</p></body></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}
