//! The page of a dead end: the cause, what to do, the request id and a way on.

use askama::Template;

use super::cause::WayOn;
use super::words::Story;
use super::{Cause, Frame, Href, Lang, Needs, Page, PageInfo, finish, words};

/// The page of a dead end.
#[derive(Clone, Debug)]
pub struct ProblemPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Why it is one.
    pub cause: Cause,
    /// The display name of the connector, when the cause is about a login.
    pub source: Option<&'a str>,
    /// The way on: the same again or a fresh login, as the cause says.
    pub again: Option<Href>,
    /// The way home.
    pub home: Option<Href>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct View<'a> {
    frame: Frame<'a>,
    page: &'a ProblemPage<'a>,
    story: &'static Story,
    way_on: &'static str,
    new_tab: bool,
}

impl ProblemPage<'_> {
    /// Writes it. Only the pages of [`Cause::FrameLogin`] and [`Cause::FormLogin`] may be shown in a
    /// frame: an old browser does not say whether a form was sent from one.
    pub fn render(&self, lang: Lang) -> Page {
        let words = words::of(lang);
        let (way_on, needs) = match self.cause.way_on() {
            WayOn::Again => (words.again, Needs::Nothing),
            WayOn::SignIn => (words.sign_in_again, Needs::Nothing),
            WayOn::There => (words.sign_in_there, Needs::Nothing),
            WayOn::NewTab => (words.new_tab, Needs::Frame),
        };
        let view = View {
            frame: Frame::new(self.info, lang),
            page: self,
            story: words.causes.of(self.cause),
            way_on,
            new_tab: needs == Needs::Frame,
        };
        finish(&view, lang, needs)
    }
}
