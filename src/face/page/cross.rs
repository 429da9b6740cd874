//! The page that asks before a session goes to a host that the configuration does not name, or into a
//! page in another site's frame.

use askama::Template;

use super::words::Cross;
use super::{Frame, Href, Lang, Needs, Page, PageInfo, PersonName, finish};

/// The page that asks before a session goes to a host that the configuration does not name, or into a
/// page in another site's frame.
#[derive(Clone, Debug)]
pub struct CrossHostPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Where they would go: a host, with its port where that matters.
    pub host: &'a str,
    /// Who they would be there.
    pub who: PersonName<'a>,
    /// Where the form is posted.
    pub post_to: Href,
    /// What the form brings along: nobody else can make it.
    pub sealed: &'a str,
    /// Whether the session goes into a page in another site's frame.
    pub for_frame: bool,
}

#[derive(Template)]
#[template(path = "cross.html")]
struct View<'a> {
    frame: Frame<'a>,
    page: &'a CrossHostPage<'a>,
    words: &'static Cross,
}

impl CrossHostPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let frame = Frame::new(self.info, lang);
        // A frame that waits for the ticket is the opener of the tab.
        let (words, needs) = match self.for_frame {
            true => (&frame.words.into_frame, Needs::FormToAnywhere),
            false => (&frame.words.cross, Needs::LoneFormToAnywhere),
        };
        let view = View {
            frame,
            page: self,
            words,
        };
        finish(&view, lang, needs)
    }
}
