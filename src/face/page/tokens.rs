//! The page on which a person makes, lists and ends access tokens.

use askama::Template;

use super::texts::{self, TokensTexts};
use super::{Href, Lang, Layout, Page, PageInfo, PagePolicy, PersonName, render_page};

/// The page on which a person makes, lists and ends access tokens.
#[derive(Clone, Debug)]
pub struct TokensPage<'a> {
    pub info: PageInfo<'a>,
    pub person: PersonName<'a>,
    /// The ID of the person's account, which the forms repeat.
    pub account: &'a str,
    pub notice: Option<TokenNotice>,
    /// The token that was made just now. The page shows nothing else, and no other page shows it.
    pub new_token: Option<NewToken<'a>>,
    pub tokens: Vec<ListedToken<'a>>,
    /// The names of the routes that allow access tokens.
    pub routes: Vec<&'a str>,
    pub lifetimes: Vec<LifetimeChoice>,
    /// Present if the person must sign in again before they make a token.
    pub sign_in_again: Option<Href>,
    pub name_chars_max: usize,
    pub post_to: Href,
}

/// A token that was made just now.
#[derive(Clone, Copy)]
pub struct NewToken<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

impl std::fmt::Debug for NewToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").finish_non_exhaustive()
    }
}

/// A token in the list.
#[derive(Clone, Debug)]
pub struct ListedToken<'a> {
    pub id: String,
    pub name: &'a str,
    /// The routes that it opens; `None`: all that allow access tokens.
    pub routes: Option<&'a [String]>,
    pub created: String,
    pub expires: String,
    pub last_used: Option<String>,
}

/// How long a new token may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimeChoice {
    pub seconds: u64,
    /// The length in days or, if it is shorter than a day, in minutes.
    pub number: u64,
    pub is_days: bool,
}

impl LifetimeChoice {
    pub fn of(seconds: u64) -> Self {
        let is_days = seconds >= 86_400;
        Self {
            seconds,
            number: seconds / if is_days { 86_400 } else { 60 },
            is_days,
        }
    }
}

/// What happened to the form that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenNotice {
    Ended,
    /// There is no such token to end.
    Gone,
    TooMany,
    BadName,
    /// Not a lifetime or a route that the page offers.
    BadChoice,
    /// The form was shown to another person.
    OtherAccount,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensTemplate<'a> {
    layout: Layout<'a>,
    page: &'a TokensPage<'a>,
    texts: &'static TokensTexts,
    notice: Option<&'static str>,
}

impl TokensPage<'_> {
    pub fn render(&self, lang: Lang) -> Page {
        let texts = &texts::of(lang).tokens;
        let template = TokensTemplate {
            layout: Layout::new(self.info, lang),
            page: self,
            texts,
            notice: self.notice.map(|notice| match notice {
                TokenNotice::Ended => texts.ended,
                TokenNotice::Gone => texts.gone,
                TokenNotice::TooMany => texts.too_many,
                TokenNotice::BadName => texts.bad_name,
                TokenNotice::BadChoice => texts.bad_choice,
                TokenNotice::OtherAccount => texts.other_account,
            }),
        };
        let policy = match self.new_token {
            Some(_) => PagePolicy::Sandboxed,
            None => PagePolicy::Isolated,
        };
        render_page(&template, self.info, lang, policy)
    }
}
