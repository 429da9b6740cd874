//! The page that sends a login request to a source by a form.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page, served as `{prefix}/post.js`, `text/javascript`.
///
/// It submits the form. Without scripts the person presses the button.
pub const POST_JS: &str = include_str!("../../../templates/post.js");

/// The page that sends a login request to a source by a form.
#[derive(Clone, Debug)]
pub struct PostPage<'a> {
    /// The data that every page shows.
    pub info: PageInfo<'a>,
    /// The display name of the source.
    pub source: &'a str,
    /// The URL to which the form is posted.
    pub to: Href,
    /// The names and values of the form's fields.
    pub fields: Vec<(&'a str, &'a str)>,
    /// The URL of [`POST_JS`], on this host.
    pub script: Href,
}

#[derive(Template)]
#[template(path = "post.html")]
struct PostTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PostPage<'a>,
}

impl PostPage<'_> {
    /// Renders the page as HTML.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &PostTemplate { layout, page: self },
            lang,
            PagePolicy::ScriptedPost,
        )
    }
}
