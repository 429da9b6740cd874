//! The page of a dead end: the cause, what to do, the request id and a way on.

use askama::Template;

use super::cause::NextStep;
use super::texts::ProblemText;
use super::{Cause, Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page, texts};

/// The page of a dead end.
#[derive(Clone, Debug)]
pub struct ProblemPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// LoginReason it is one.
    pub cause: Cause,
    /// The display name of the connector, when the cause is about a login.
    pub source: Option<&'a str>,
    /// The way on: the same again or a fresh login, as the cause says.
    pub next: Option<Href>,
    /// The way home.
    pub home: Option<Href>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemTemplate<'a> {
    layout: Layout<'a>,
    page: &'a ProblemPage<'a>,
    text: &'static ProblemText,
    next_label: &'static str,
    opens_new_tab: bool,
}

impl ProblemPage<'_> {
    /// Writes it. Only the pages of [`Cause::FrameLogin`] and [`Cause::FormLogin`] may be shown in a
    /// frame: an old browser does not say whether a form was sent from one.
    pub fn render(&self, lang: Lang) -> Page {
        let texts = texts::of(lang);
        let (next_label, policy) = match self.cause.next_step() {
            NextStep::Retry => (texts.try_again, PagePolicy::Plain),
            NextStep::SignIn => (texts.sign_in_again, PagePolicy::Plain),
            NextStep::SignInOnLoginHost => (texts.sign_in_on_login_host, PagePolicy::Plain),
            NextStep::SignInInNewTab => (texts.sign_in_in_new_tab, PagePolicy::FramedNotice),
        };
        let template = ProblemTemplate {
            layout: Layout::new(self.info, lang),
            page: self,
            text: texts.causes.of(self.cause),
            next_label,
            opens_new_tab: policy == PagePolicy::FramedNotice,
        };
        render_page(&template, lang, policy)
    }
}
