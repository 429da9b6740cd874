//! The page that asks before somebody else takes the place of who is here.

use askama::Template;

use super::words::Switch;
use super::{Frame, Href, Lang, Needs, Page, PageInfo, PersonName, finish};

/// The page that asks before somebody else takes the place of who is here.
#[derive(Clone, Debug)]
pub struct SwitchPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Who is signed in.
    pub present: PersonName<'a>,
    /// Whom the ticket names.
    pub arrived: PersonName<'a>,
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
        let frame = Frame::new(self.info, lang);
        let words = &frame.words.switch;
        let view = View {
            frame,
            page: self,
            words,
        };
        finish(&view, lang, Needs::LoneFormToAnywhere)
    }
}
