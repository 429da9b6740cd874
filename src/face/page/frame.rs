//! The page for a frame on another site when the person is not signed in: it opens a tab for the
//! login and receives a ticket from that tab.

use askama::Template;

use super::{Cause, Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page, texts};

/// The script of the page, served as `{prefix}/frame.js`. It receives a ticket from a page of the login
/// host and posts it.
pub const FRAME_JS: &str = include_str!("../../../templates/frame.js");

/// The sign-in page in a frame on another site.
#[derive(Clone, Debug)]
pub struct FramePage<'a> {
    /// The site and request of the page.
    pub info: PageInfo<'a>,
    /// The link to the login, in a tab whose opener is this page.
    pub start: Href,
    /// The requested page.
    pub return_to: Href,
    /// The origin of the login host: tickets are accepted only from its pages.
    pub home: &'a str,
    /// The path to which the ticket is posted.
    pub post_to: Href,
    /// The path of [`FRAME_JS`].
    pub script: Href,
    /// The origins whose pages may embed it; empty: all.
    pub framed_by: &'a [String],
    /// Whether a ticket was posted and refused.
    pub failed: bool,
}

#[derive(Template)]
#[template(path = "frame.html")]
struct FrameTemplate<'a> {
    layout: Layout<'a>,
    page: &'a FramePage<'a>,
    title: &'static str,
}

impl FramePage<'_> {
    /// Renders the page in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let template = FrameTemplate {
            layout: Layout::new(self.info, lang),
            page: self,
            title: texts::of(lang).causes.of(Cause::FrameLogin).title,
        };
        Page {
            framed_by: self.framed_by.to_vec(),
            ..render_page(&template, lang, PagePolicy::FramedSignIn)
        }
    }
}
