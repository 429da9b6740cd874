//! The page for a signed-in person whom the route denies. It offers to switch the account.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page for a signed-in person whom the route denies.
#[derive(Clone, Debug)]
pub struct ForbiddenPage<'a> {
    pub info: PageInfo<'a>,
    /// The name of the route.
    pub route: &'a str,
    pub person: PersonName<'a>,
    /// The action of the form that switches the account: the sign-out path, with `rd` in its query.
    pub switch: Href,
    /// The previous page, or another that the person may open.
    pub back: Option<Href>,
}

#[derive(Template)]
#[template(path = "forbidden.html")]
struct ForbiddenTemplate<'a> {
    layout: Layout<'a>,
    page: &'a ForbiddenPage<'a>,
}

impl ForbiddenPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        render_page(
            &ForbiddenTemplate { layout, page: self },
            lang,
            PagePolicy::Plain,
        )
    }
}
