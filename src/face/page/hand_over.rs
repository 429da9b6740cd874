//! The page in a tab that hands a session ticket to the frame that opened the tab.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page, served at `{prefix}/hand_over.js`. It posts the ticket to the opener if that
/// has the expected origin, and closes the tab after the opener confirmed it.
pub const HAND_OVER_JS: &str = include_str!("../../../templates/hand_over.js");

/// The page that hands a session ticket to the frame that opened the tab.
#[derive(Clone, Debug)]
pub struct HandOverPage<'a> {
    pub info: PageInfo<'a>,
    /// The origin of the frame, which alone may receive the ticket.
    pub frame_origin: &'a str,
    pub ticket: &'a str,
    pub return_to: Href,
    /// The URL of [`HAND_OVER_JS`].
    pub script: Href,
}

#[derive(Template)]
#[template(path = "hand_over.html")]
struct HandOverTemplate<'a> {
    layout: Layout<'a>,
    page: &'a HandOverPage<'a>,
}

impl HandOverPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &HandOverTemplate { layout, page: self },
            self.info,
            lang,
            PagePolicy::Script,
        )
    }
}
