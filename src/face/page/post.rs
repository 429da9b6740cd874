//! The stop on the way to a source that wants its request by a form.

use askama::Template;

use super::{Frame, Href, Lang, Needs, Page, PageInfo, finish};

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
struct View<'a> {
    frame: Frame<'a>,
    page: &'a PostPage<'a>,
}

impl PostPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let frame = Frame::new(self.info, lang);
        finish(&View { frame, page: self }, lang, Needs::PostElsewhere)
    }
}
