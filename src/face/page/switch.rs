//! The page that asks before somebody else takes the place of who is here.

use askama::Template;

use super::words::Switch;
use super::{Footing, Frame, Href, Lang, Needs, Page, Who, finish};

/// The page that asks before somebody else takes the place of who is here.
#[derive(Clone, Debug)]
pub struct SwitchPage<'a> {
    /// What every page says of itself.
    pub footing: Footing<'a>,
    /// Who is signed in.
    pub present: Who<'a>,
    /// Whom the ticket names.
    pub arrived: Who<'a>,
    /// Where the form is posted.
    pub post_to: Href,
    /// The name of the arrival that this browser remembers.
    pub flow: &'a str,
    /// Where they go as who they are.
    pub stay: Href,
}

#[derive(Template)]
#[template(path = "switch.html")]
struct View<'a> {
    frame: Frame<'a>,
    page: &'a SwitchPage<'a>,
    words: &'static Switch,
}

impl SwitchPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let frame = Frame::new(self.footing, lang);
        let words = &frame.words.switch;
        let view = View {
            frame,
            page: self,
            words,
        };
        finish(&view, lang, Needs::LoneFormToAnywhere)
    }
}
