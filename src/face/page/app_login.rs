//! The page in a source's own app, whose scripts ask the app for a code.

use askama::Template;

use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, render_page};

/// The page in a source's own app.
#[derive(Clone, Debug)]
pub struct AppLoginPage<'a> {
    pub info: PageInfo<'a>,
    /// The display name of the connector.
    pub connector_name: &'a str,
    /// Where the script posts the code.
    pub login_url: Href,
    /// The flow ID of the login.
    pub state: &'a str,
    /// Values for the script: names of `data-` attributes without that prefix.
    pub data: Vec<(&'static str, &'a str)>,
    /// The URL of the source's script.
    pub client_script: Href,
    /// Whether [`Self::client_script`] is on another host than menshen.
    pub client_script_is_foreign: bool,
    /// The URL of the page's own script.
    pub script: Href,
    /// The source's login page for other browsers.
    pub web_url: Href,
}

#[derive(Template)]
#[template(path = "app_login.html")]
struct AppLoginTemplate<'a> {
    layout: Layout<'a>,
    page: &'a AppLoginPage<'a>,
}

impl AppLoginPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let layout = Layout::new(self.info, lang);
        let template = AppLoginTemplate { layout, page: self };
        let script = self.client_script.as_str().to_owned();
        Page {
            foreign_script: self.client_script_is_foreign.then_some(script),
            ..render_page(&template, self.info, lang, PagePolicy::AppLogin)
        }
    }
}
