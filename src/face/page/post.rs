//! The stop on the way to a source that wants its request by a form.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the stop; served as `{prefix}/post.js`, `text/javascript`.
///
/// It sends the form off. Where no script runs, the person presses the button.
pub const POST_JS: &str = include_str!("../../../templates/post.js");

/// The stop on the way to a source that wants its request by a form.
#[derive(Clone, Debug)]
pub struct PostPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// The source, as people know it.
    pub source: &'a str,
    /// Its address.
    pub to: Href,
    /// What the form holds.
    pub fields: Vec<(&'a str, &'a str)>,
    /// Where [`POST_JS`] is, on this host.
    pub script: Href,
}

#[derive(Template)]
#[template(path = "post.html")]
struct PostTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PostPage<'a>,
}

impl PostPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &PostTemplate { layout, page: self },
            lang,
            PagePolicy::ScriptedPost,
        )
    }
}
