//! The problem page: what happened, what to do, the request ID and a next step.

use askama::Template;

use super::cause::NextStep;
use super::texts::ProblemText;
use super::{Cause, Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page, texts};

#[derive(Clone, Debug)]
pub struct ProblemPage<'a> {
    pub info: PageInfo<'a>,
    pub cause: Cause,
    /// The display name of the connector, if the problem is about a login.
    pub connector_name: Option<&'a str>,
    /// The link of the main button, which the cause labels.
    pub next: Option<Href>,
    /// The link to the home page.
    pub home_page: Option<Href>,
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
    /// Renders the page. Only [`Cause::FrameNeedsLogin`] and [`Cause::FormNeedsLogin`] may be framed;
    /// old browsers do not say whether a form was sent from a frame.
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
        render_page(&template, self.info, lang, policy)
    }
}
