//! The form for a user name and a password.

use askama::Template;

use super::words::Password;
use super::{Frame, Href, Lang, Needs, Page, PageInfo, finish};

/// The form for a user name and a password.
#[derive(Clone)]
pub struct PasswordPage<'a> {
    /// What every page says of itself.
    pub info: PageInfo<'a>,
    /// Where the account is, as people know it.
    pub source: &'a str,
    /// Where the form is posted.
    pub post_to: Href,
    /// The name of the login that this browser remembers.
    pub flow: &'a str,
    /// Where the person wants to go, in case the login is lost.
    pub return_to: &'a str,
    /// The user name that was typed before.
    pub login: &'a str,
    /// What went wrong before.
    pub notice: Option<PasswordNotice>,
    /// The page with the other ways to sign in, where there are some.
    pub others: Option<Href>,
    /// Whether a page in another site's frame opened the tab and waits for it.
    pub for_frame: bool,
}

impl std::fmt::Debug for PasswordPage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordPage")
            .field("notice", &self.notice)
            .finish_non_exhaustive()
    }
}

/// Why the form is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordNotice {
    /// The user name and the password do not belong together.
    Wrong,
    /// The form was open for too long.
    Late,
    /// The browser does not remember the login, or the form came incomplete.
    Lost,
}

#[derive(Template)]
#[template(path = "password.html")]
struct View<'a> {
    frame: Frame<'a>,
    page: &'a PasswordPage<'a>,
    words: &'static Password,
    notice: Option<&'static str>,
}

impl PasswordPage<'_> {
    /// The page as HTML, in a language.
    pub fn render(&self, lang: Lang) -> Page {
        let frame = Frame::new(self.info, lang);
        let words = &frame.words.password;
        let notice = self.notice.map(|notice| match notice {
            PasswordNotice::Wrong => words.wrong,
            PasswordNotice::Late => words.late,
            PasswordNotice::Lost => words.lost,
        });
        // A frame that waits for the ticket is the opener of the tab.
        let needs = match self.for_frame {
            true => Needs::FormToAnywhere,
            false => Needs::LoneFormToAnywhere,
        };
        let view = View {
            frame,
            page: self,
            words,
            notice,
        };
        finish(&view, lang, needs)
    }
}
