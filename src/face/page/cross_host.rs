//! The consent page before a session is transferred to a host that the configuration does not name, or to
//! a frame of another site.

use askama::Template;

use super::texts::CrossHostTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The consent page before a session is transferred to another host or to a frame.
#[derive(Clone, Debug)]
pub struct CrossHostPage<'a> {
    pub info: PageInfo<'a>,
    /// The target host, with its port if it is not the default.
    pub host: &'a str,
    /// The person who would be signed in there.
    pub person: PersonName<'a>,
    pub post_to: Href,
    /// The sealed [`TicketConsent`](crate::login::ticket::TicketConsent) that the form posts.
    pub sealed_consent: &'a str,
    /// Whether a frame of another site opened the tab and waits for the session.
    pub opened_by_frame: bool,
}

#[derive(Template)]
#[template(path = "cross_host.html")]
struct CrossHostTemplate<'a> {
    layout: Layout<'a>,
    page: &'a CrossHostPage<'a>,
    texts: &'static CrossHostTexts,
}

impl CrossHostPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        // The waiting frame is the opener of this tab, so the page must not be isolated from it.
        let (texts, policy) = match self.opened_by_frame {
            true => (&layout.texts.into_frame, PagePolicy::RedirectingForm),
            false => (&layout.texts.cross_host, PagePolicy::IsolatedForm),
        };
        let template = CrossHostTemplate {
            layout,
            page: self,
            texts,
        };
        render_page(&template, self.info, lang, policy)
    }
}
