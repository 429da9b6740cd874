//! The page that asks before somebody else takes the place of who is here.

use askama::Template;

use super::texts::Switch;
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page that asks before somebody else takes the place of who is here.
#[derive(Clone, Debug)]
pub struct SwitchPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Who is signed in.
    pub current: PersonName<'a>,
    /// Whom the ticket names.
    pub new_person: PersonName<'a>,
    /// Where the form is posted.
    pub post_to: Href,
    /// The name of the arrival that this browser remembers.
    pub flow: &'a str,
    /// The id of the account that the ticket names.
    pub account: &'a str,
    /// Where they go as who they are.
    pub stay: Href,
}

#[derive(Template)]
#[template(path = "switch.html")]
struct SwitchTemplate<'a> {
    layout: Layout<'a>,
    page: &'a SwitchPage<'a>,
    texts: &'static Switch,
}

impl SwitchPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let texts = &layout.texts.switch;
        let template = SwitchTemplate {
            layout,
            page: self,
            texts,
        };
        render_page(&template, lang, PagePolicy::IsolatedForm)
    }
}
