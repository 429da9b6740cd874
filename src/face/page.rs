//! Renders the pages for people as HTML in Chinese or English, from typed data.
//!
//! Pages embed their style and images, so that they work even if a proxy does not forward own paths. Only
//! [`AppLoginPage`], [`FragmentPage`], [`FramePage`], [`HandOverPage`] and [`PostPage`] run a script, from an
//! own path; [`AppLoginPage`] can also run one of the source.
//! Askama escapes all values.

use askama::Template;

mod app_login;
mod cause;
mod cross_host;
mod forbidden;
mod fragment;
mod frame;
mod hand_over;
mod href;
mod lang;
mod link;
mod password;
mod password_change;
mod post;
mod problem;
mod problem_json;
mod program_cause;
mod sign_in;
mod signed_in;
mod signed_out;
mod style;
mod switch;
#[cfg(test)]
mod tests;
mod texts;
mod tokens;
mod unbroken;

pub use app_login::AppLoginPage;
pub use cause::Cause;
pub use cross_host::CrossHostPage;
pub use forbidden::ForbiddenPage;
pub use fragment::{FRAGMENT_JS, FragmentPage};
pub use frame::{FRAME_JS, FramePage};
pub use hand_over::{HAND_OVER_JS, HandOverPage};
pub use href::Href;
pub use lang::Lang;
pub use link::LinkPage;
pub use password::{PasswordNotice, PasswordPage};
pub use password_change::{PasswordChangeNotice, PasswordChangePage};
pub use post::{POST_JS, PostPage, PostPurpose};
pub use problem::ProblemPage;
pub use problem_json::{ProblemJson, login_needed_title};
pub use program_cause::ProgramCause;
pub use sign_in::{ConnectorChoice, SignInPage, SignInReason};
pub use signed_in::SignedInPage;
pub use signed_out::SignedOutPage;
pub use switch::SwitchPage;
pub use tokens::{LifetimeChoice, ListedToken, NewToken, TokenNotice, TokensPage};

use crate::site::{Background, HelpLine, Pages};
use style::STYLE;
use texts::Texts;

/// A rendered page, and what its response headers depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub html: String,
    pub lang: Lang,
    policy: PagePolicy,
    /// The origins that may frame the page if its policy allows framing; empty: all.
    allowed_framers: Vec<String>,
    /// The URL of the one script of another host that the page runs, if there is one.
    foreign_script: Option<String>,
    /// The hash of the style sheet with the colours of the site, if it has its own.
    palette_digest: Option<String>,
}

/// What a page does, which determines its Content-Security-Policy and framing headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PagePolicy {
    /// No script, no framing, and forms only to this host.
    Plain,
    /// Runs a script of menshen.
    Script,
    /// Runs a script of menshen that sends requests to this host, and a script of the source.
    AppLogin,
    /// Like [`Self::Plain`], and isolated from the page that opened the window, whose script could read the
    /// page and press its buttons if it is of the same origin.
    Isolated,
    /// A page with a secret and without forms. The sandbox gives it an origin of its own, so that no script
    /// can read it. Browsers refuse a page that has a Cross-Origin-Opener-Policy, too.
    Sandboxed,
    /// A form whose response redirects to another host, which may redirect anywhere. Chromium applies
    /// `form-action` to all redirects after a form.
    RedirectingForm,
    /// Like [`Self::RedirectingForm`], and isolated from the page that opened the window, whose script
    /// could press the button if it is of the same origin.
    IsolatedForm,
    /// Runs a script of menshen that posts a form to another site, which may redirect anywhere.
    ScriptedPost,
    /// May be framed by every site: says that the person must sign in in a tab.
    FramedNotice,
    /// May be framed by the configured origins, runs a script of menshen, and posts a form to this host,
    /// whose application may redirect anywhere.
    FramedSignIn,
}

impl PagePolicy {
    fn runs_script(self) -> bool {
        matches!(
            self,
            Self::Script | Self::AppLogin | Self::ScriptedPost | Self::FramedSignIn
        )
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

/// What every page shows about its request.
#[derive(Clone, Copy, Debug)]
pub struct PageInfo<'a> {
    /// The requested host, such as `sso.corp.example`; empty if the request names none.
    pub host: &'a str,
    /// The request ID, by which an administrator finds the request in the log. Pages show it where something
    /// is wrong.
    pub request_id: &'a str,
    /// Whose the pages are.
    pub pages: &'a Pages,
}

/// The names of a person on a page.
#[derive(Clone, Copy, Debug)]
pub struct PersonName<'a> {
    /// The display name, if known.
    pub name: Option<&'a str>,
    /// The login name.
    pub login: &'a str,
}

impl Page {
    /// The response headers of the page, with names in lower case.
    ///
    /// `form_targets` are further origins that the response to a form may redirect to, because Chromium
    /// applies `form-action` to redirects. Values that are not origins are left out.
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
            // With `no-referrer` browsers would send `Origin: null` with the sign-out form.
            ("referrer-policy", "same-origin".to_owned()),
        ];
        if !self.policy.allows_framing() {
            headers.push(("x-frame-options", "DENY".to_owned()));
        }
        if matches!(self.policy, PagePolicy::Isolated | PagePolicy::IsolatedForm) {
            headers.push(("cross-origin-opener-policy", "same-origin".to_owned()));
        }
        headers
    }

    fn frame_ancestors(&self) -> String {
        match (
            self.policy.allows_framing(),
            self.allowed_framers.as_slice(),
        ) {
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

    /// The directives for scripts and for the requests that they send.
    fn script_policy(&self) -> String {
        if !self.policy.runs_script() {
            return String::new();
        }
        let mut sources = "'self'".to_owned();
        if let Some(url) = self.foreign_script.as_deref().filter(|url| is_source(url)) {
            sources.push(' ');
            sources.push_str(url);
        }
        let requests = match self.policy {
            PagePolicy::AppLogin => " connect-src 'self';",
            _ => "",
        };
        format!(" script-src {sources};{requests}")
    }

    /// The Content-Security-Policy (CSP level 3) of this page; see [`Page::headers`].
    pub fn content_security_policy(&self, form_targets: &[&str]) -> String {
        let mut styles = format!("'sha256-{}'", style::digest());
        if let Some(digest) = &self.palette_digest {
            styles.push_str(&format!(" 'sha256-{digest}'"));
        }
        let script = self.script_policy();
        let ancestors = self.frame_ancestors();
        let mut forms = "'self'".to_owned();
        if self.policy.allows_any_form_target() {
            forms.push_str(" http: https:");
        }
        for target in form_targets.iter().filter(|target| is_origin(target)) {
            forms.push(' ');
            forms.push_str(target);
        }
        let sandbox = match self.policy {
            PagePolicy::Sandboxed => "sandbox; ",
            _ => "",
        };
        format!(
            "{sandbox}default-src 'none'; style-src {styles};{script} img-src 'self' data:; \
             form-action {forms}; frame-ancestors {ancestors}; base-uri 'none'"
        )
    }
}

/// Whether a text is an origin that can be inserted into a policy unchanged.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
}

/// Whether a text is the URL of a file that can be inserted into a policy unchanged.
fn is_source(text: &str) -> bool {
    let after_scheme = text.find("://").map_or(0, |at| at + 3);
    let path_at = text[after_scheme..].find('/');
    let Some((origin, path)) = path_at.map(|at| text.split_at(after_scheme + at)) else {
        return false;
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_~%@".contains(&byte);
    is_origin(origin) && path.bytes().all(is_allowed)
}

/// The values that every template uses.
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

    /// A text as HTML that breaks no word at its hyphen.
    fn unbroken(&self, text: &'static str) -> String {
        unbroken::unbroken(text)
    }

    /// The name of the site, or its host; `None` if neither is known.
    fn site_name(&self) -> Option<&'a str> {
        let host = Some(self.info.host).filter(|host| !host.is_empty());
        self.name().or(host)
    }

    /// The name of the owner.
    fn name(&self) -> Option<&'a str> {
        let name = self.info.pages.name.as_ref();
        name.map(|name| self.lang.label(name))
    }

    /// The URL of the logo. It changes with the file.
    fn logo(&self) -> Option<String> {
        let pages = self.info.pages;
        let logo = pages.logo.as_ref()?;
        Some(format!("{}?v={}", pages.logo_path, logo.version))
    }

    /// The style sheet with the colours of the site.
    fn palette(&self) -> Option<&'a str> {
        self.info.pages.palette.as_ref().map(|it| it.css())
    }

    fn has_doors(&self) -> bool {
        self.info.pages.background == Background::Doors
    }

    /// Where people get help.
    fn help(&self) -> Option<HelpLine<'a>> {
        let help = self.info.pages.help.as_ref()?;
        Some(HelpLine::of(self.lang.label(help.label())))
    }

    fn footer(&self) -> Option<&'a str> {
        let footer = self.info.pages.footer.as_ref();
        footer.map(|footer| self.lang.label(footer))
    }

    /// The home page with a name, if a connector names one.
    fn home(&self) -> Option<(&'a str, Href)> {
        let home = self.info.pages.home.as_ref()?;
        Some((self.lang.label(&home.name), Href::new(home.url.as_str())))
    }
}

/// Renders a template. The values of all pages can be written; if one could not, the page would end there.
fn render_page<T: Template>(
    template: &T,
    info: PageInfo<'_>,
    lang: Lang,
    policy: PagePolicy,
) -> Page {
    let mut html = String::with_capacity(T::SIZE_HINT);
    if let Err(error) = template.render_into(&mut html) {
        tracing::error!(request_id = info.request_id, %error, "a page could not be rendered");
    }
    Page {
        html,
        lang,
        policy,
        allowed_framers: Vec::new(),
        foreign_script: None,
        palette_digest: info.pages.palette.as_ref().map(|it| it.digest().to_owned()),
    }
}
