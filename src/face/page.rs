//! The pages people see: typed data in, HTML in Chinese or English out. No request, no status.
//!
//! A page needs nothing from elsewhere: its style and its pictures stand in it, so it also works
//! where the own paths cannot be reached. Only [`FragmentPage`], [`FramePage`], [`HandOverPage`] and
//! [`PostPage`] run a script, each a file of ours.
//! Everything that comes from outside is escaped by askama.

use askama::Template;

mod cause;
mod cross_host;
mod forbidden;
mod fragment;
mod frame;
mod hand_over;
mod href;
mod lang;
mod password;
mod post;
mod problem;
mod problem_json;
mod sign_in;
mod signed_out;
mod style;
mod switch;
#[cfg(test)]
mod tests;
mod texts;

pub use cause::Cause;
pub use cross_host::CrossHostPage;
pub use forbidden::ForbiddenPage;
pub use fragment::{FRAGMENT_JS, FragmentPage};
pub use frame::{FRAME_JS, FramePage};
pub use hand_over::{HAND_OVER_JS, HandOverPage};
pub use href::Href;
pub use lang::Lang;
pub use password::{PasswordNotice, PasswordPage};
pub use post::{POST_JS, PostPage};
pub use problem::ProblemPage;
pub use problem_json::ProblemJson;
pub use sign_in::{ConnectorChoice, SignInPage, SignInReason, SignedInPerson};
pub use signed_out::SignedOutPage;
pub use switch::SwitchPage;

use style::STYLE;
use texts::Texts;

/// A finished page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The whole document, UTF-8.
    pub html: String,
    /// The language it speaks.
    pub lang: Lang,
    policy: PagePolicy,
    /// The origins whose pages may show a page that may be shown in a frame; empty: all.
    framed_by: Vec<String>,
}

/// What a page asks of the browser beyond showing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PagePolicy {
    /// Nothing.
    Plain,
    /// To run our script.
    Script,
    /// To post a form that leads to another host. What is there may lead on to anywhere, and Chromium
    /// holds `form-action` against every redirect after a form.
    RedirectingForm,
    /// The same, and to be out of reach of the page that opened its window, whose script could press
    /// the button where it is of this origin.
    IsolatedForm,
    /// To run our script, and to post a form to another site, which may lead on to anywhere.
    ScriptedPost,
    /// To be shown in somebody's frame: it says that frames cannot log in, and does nothing else.
    FramedNotice,
    /// To be shown in somebody's frame, to run our script there, and to post a form to this host,
    /// whose application may lead on to anywhere.
    FramedSignIn,
}

impl PagePolicy {
    fn runs_script(self) -> bool {
        matches!(self, Self::Script | Self::ScriptedPost | Self::FramedSignIn)
    }

    fn allows_framing(self) -> bool {
        matches!(self, Self::FramedNotice | Self::FramedSignIn)
    }

    fn allows_any_form_target(self) -> bool {
        matches!(
            self,
            Self::RedirectingForm | Self::IsolatedForm | Self::ScriptedPost | Self::FramedSignIn
        )
    }
}

/// What every page says of itself.
#[derive(Clone, Copy, Debug)]
pub struct PageInfo<'a> {
    /// The host people know the site by: `sso.corp.example`.
    pub site: &'a str,
    /// What the administrator finds this request by in the log.
    pub request_id: &'a str,
}

/// Somebody, as a page names them.
#[derive(Clone, Copy, Debug)]
pub struct PersonName<'a> {
    /// What people call them, when that is known.
    pub name: Option<&'a str>,
    /// What applications call them.
    pub login: &'a str,
}

impl Page {
    /// Every header a page is sent with, names in lower case.
    ///
    /// `form_targets` are the origins that a sign-out may be redirected to besides this host:
    /// Chromium holds `form-action` against redirects after a form, too. What is not an origin is
    /// left out.
    pub fn headers(&self, form_targets: &[&str]) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("content-language", self.lang.tag().to_owned()),
            (
                "content-security-policy",
                self.content_security_policy(form_targets),
            ),
            ("cache-control", "no-store".to_owned()),
            ("vary", "accept-language".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            // `no-referrer` would make browsers send `Origin: null` with our own sign-out form.
            ("referrer-policy", "same-origin".to_owned()),
        ];
        if !self.policy.allows_framing() {
            headers.push(("x-frame-options", "DENY".to_owned()));
        }
        if self.policy == PagePolicy::IsolatedForm {
            headers.push(("cross-origin-opener-policy", "same-origin".to_owned()));
        }
        headers
    }

    fn frame_ancestors(&self) -> String {
        match (self.policy.allows_framing(), self.framed_by.as_slice()) {
            (false, _) => "'none'".to_owned(),
            (true, []) => "*".to_owned(),
            (true, origins) => {
                let origins = origins.iter().map(String::as_str);
                let origins = origins.filter(|origin| is_origin(origin));
                let all: Vec<_> = std::iter::once("'self'").chain(origins).collect();
                all.join(" ")
            }
        }
    }

    /// The value of Content-Security-Policy (CSP level 3) for this page; see [`Page::headers`].
    pub fn content_security_policy(&self, form_targets: &[&str]) -> String {
        let style = style::digest();
        let script = if self.policy.runs_script() {
            " script-src 'self';"
        } else {
            ""
        };
        let ancestors = self.frame_ancestors();
        let mut forms = "'self'".to_owned();
        if self.policy.allows_any_form_target() {
            forms.push_str(" http: https:");
        }
        for target in form_targets.iter().filter(|target| is_origin(target)) {
            forms.push(' ');
            forms.push_str(target);
        }
        format!(
            "default-src 'none'; style-src 'sha256-{style}';{script} img-src 'self' data:; \
             form-action {forms}; frame-ancestors {ancestors}; base-uri 'none'"
        )
    }
}

/// Whether a text is scheme, host and port and can stand in a policy as it is.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

/// What every template is given.
#[derive(Debug)]
struct Layout<'a> {
    info: PageInfo<'a>,
    lang: Lang,
    texts: &'static Texts,
    style: &'static str,
}

impl<'a> Layout<'a> {
    fn new(info: PageInfo<'a>, lang: Lang) -> Self {
        Self {
            info,
            lang,
            texts: texts::of(lang),
            style: STYLE,
        }
    }
}

fn render_page(template: &impl Template, lang: Lang, policy: PagePolicy) -> Page {
    let html = template
        .render()
        .expect("a template of texts alone is written to memory");
    Page {
        html,
        lang,
        policy,
        framed_by: Vec::new(),
    }
}
