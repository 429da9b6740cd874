//! The page that asks before a session goes to a host that the configuration does not name, or into a
//! page in another site's frame.

use askama::Template;

use super::texts::Cross;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page that asks before a session goes to a host that the configuration does not name, or into a
/// page in another site's frame.
#[derive(Clone, Debug)]
pub struct CrossHostPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Where they would go: a host, with its port where that matters.
    pub host: &'a str,
    /// Who they would be there.
    pub person: PersonName<'a>,
    /// Where the form is posted.
    pub post_to: Href,
    /// What the form brings along: nobody else can make it.
    pub sealed: &'a str,
    /// Whether the session goes into a page in another site's frame.
    pub for_frame: bool,
}

#[derive(Template)]
#[template(path = "cross_host.html")]
struct CrossHostTemplate<'a> {
    layout: Layout<'a>,
    page: &'a CrossHostPage<'a>,
    texts: &'static Cross,
}

impl CrossHostPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        // A frame that waits for the ticket is the opener of the tab.
        let (texts, policy) = match self.for_frame {
            true => (&layout.texts.into_frame, PagePolicy::RedirectingForm),
            false => (&layout.texts.cross, PagePolicy::IsolatedForm),
        };
        let template = CrossHostTemplate {
            layout,
            page: self,
            texts,
        };
        render_page(&template, lang, policy)
    }
}
