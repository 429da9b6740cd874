//! The page for somebody we know who may not go there: who they are, and how to be somebody else.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page for somebody we know who may not go there.
#[derive(Clone, Debug)]
pub struct ForbiddenPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// The name of the route.
    pub route: &'a str,
    /// Who they are here.
    pub person: PersonName<'a>,
    /// Where the form to change that is posted: the sign-out path, with `rd` in its query.
    pub switch: Href,
    /// Where they came from, or another place they may go.
    pub back: Option<Href>,
}

#[derive(Template)]
#[template(path = "forbidden.html")]
struct ForbiddenTemplate<'a> {
    layout: Layout<'a>,
    page: &'a ForbiddenPage<'a>,
}

impl ForbiddenPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &ForbiddenTemplate { layout, page: self },
            lang,
            PagePolicy::Plain,
        )
    }
}
