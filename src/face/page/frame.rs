//! The sign-in page inside a frame of another site. It opens a tab for the login and receives the
//! session ticket from the tab.

use askama::Template;

use super::{Cause, Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page, texts};

/// The script of the page, served at `{prefix}/frame.js`. It posts the ticket that it receives from a
/// page of the login host.
pub const FRAME_JS: &str = include_str!("../../../templates/frame.js");

/// The sign-in page inside a frame of another site.
#[derive(Clone, Debug)]
pub struct FramePage<'a> {
    pub info: PageInfo<'a>,
    /// The URL that begins the login, in a tab whose opener is this page.
    pub start_url: Href,
    pub return_to: Href,
    /// The origin of the login host, whose messages are accepted.
    pub login_origin: &'a str,
    /// The form target for the ticket.
    pub post_to: Href,
    /// The URL of [`FRAME_JS`].
    pub script: Href,
    /// The origins that may frame the page; empty: all.
    pub allowed_framers: &'a [String],
    /// Whether the last ticket was refused.
    pub ticket_was_refused: bool,
}

#[derive(Template)]
#[template(path = "frame.html")]
struct FrameTemplate<'a> {
    layout: Layout<'a>,
    page: &'a FramePage<'a>,
    title: &'static str,
}

impl FramePage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let template = FrameTemplate {
            layout: Layout::new(self.info, lang),
            page: self,
            title: texts::of(lang).causes.of(Cause::FrameNeedsLogin).title,
        };
        Page {
            allowed_framers: self.allowed_framers.to_vec(),
            ..render_page(&template, self.info, lang, PagePolicy::FramedSignIn)
        }
    }
}
