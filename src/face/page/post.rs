//! The page that posts a message to a provider, such as a SAML request.

use askama::Template;

use super::texts::FragmentTexts;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The script of the page, served at `{prefix}/post.js`. It submits the form; without scripts the
/// person presses the button.
pub const POST_JS: &str = include_str!("../../../templates/post.js");

/// Why a form is posted to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostPurpose {
    SignIn,
    SignOut,
}

/// The page that posts a message to a provider.
#[derive(Clone, Debug)]
pub struct PostPage<'a> {
    pub info: PageInfo<'a>,
    pub purpose: PostPurpose,
    /// The display name of the connector.
    pub connector_name: &'a str,
    /// The provider's URL.
    pub to: Href,
    /// Names and values of the form's fields.
    pub fields: Vec<(&'a str, &'a str)>,
    /// The URL of [`POST_JS`].
    pub script: Href,
}

#[derive(Template)]
#[template(path = "post.html")]
struct PostTemplate<'a> {
    layout: Layout<'a>,
    page: &'a PostPage<'a>,
    texts: &'static FragmentTexts,
    signs_in: bool,
}

impl PostPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let signs_in = self.purpose == PostPurpose::SignIn;
        let template = PostTemplate {
            texts: match signs_in {
                true => &layout.texts.fragment,
                false => &layout.texts.sign_out_by_post,
            },
            layout,
            page: self,
            signs_in,
        };
        render_page(&template, self.info, lang, PagePolicy::ScriptedPost)
    }
}
