//! The page of a tab that hands a session over to the frame that opened it.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page; served as `{prefix}/hand_over.js`, `text/javascript`.
///
/// It gives the ticket to the opener, if that is of the one origin, and closes the tab when the opener
/// has it.
pub const HAND_OVER_JS: &str = include_str!("../../../templates/hand_over.js");

/// The page of a tab that hands a session over to the frame that opened it.
#[derive(Clone, Debug)]
pub struct HandOverPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// The origin that may have the ticket.
    pub to: &'a str,
    /// The ticket.
    pub ticket: &'a str,
    /// The page that was asked for.
    pub return_to: Href,
    /// Where [`HAND_OVER_JS`] is, on this host.
    pub script: Href,
}

#[derive(Template)]
#[template(path = "hand_over.html")]
struct HandOverTemplate<'a> {
    layout: Layout<'a>,
    page: &'a HandOverPage<'a>,
}

impl HandOverPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &HandOverTemplate { layout, page: self },
            lang,
            PagePolicy::Script,
        )
    }
}
