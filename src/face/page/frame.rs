//! The page that a frame on another site shows to strangers: it opens a tab to sign in, and takes the
//! ticket that the tab hands over.

use askama::Template;

use super::{Cause, Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page, texts};

/// The script of the page; served as `{prefix}/frame.js`, `text/javascript`.
///
/// It posts the ticket that a page of the host that logs people in sends it.
pub const FRAME_JS: &str = include_str!("../../../templates/frame.js");

/// The page that a frame on another site shows to strangers.
#[derive(Clone, Debug)]
pub struct FramePage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Opens the login, in a tab that keeps this page as its opener.
    pub start: Href,
    /// The page that was asked for.
    pub return_to: Href,
    /// The origin of the host that logs people in: only its pages hand tickets over.
    pub home: &'a str,
    /// Where the ticket is posted, on this host.
    pub post_to: Href,
    /// Where [`FRAME_JS`] is, on this host.
    pub script: Href,
    /// The origins whose pages may show it; empty: all.
    pub framed_by: &'a [String],
    /// Whether a ticket came and let nobody in.
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
    /// The page as HTML, in a language.
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
