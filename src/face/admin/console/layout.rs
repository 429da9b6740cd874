//! `Frame`: what every page of the console shows around its content.

use super::files;
use super::notice::Notice;
use super::request::ConsoleRequest;
use super::texts::{self, Texts};
use super::visitor::Visitor;
use super::{PATH, PageContext};
use crate::clock::Timestamp;
use crate::face::page::Lang;
use crate::request::console::ConsoleRight;

use super::moment::Moment;

/// What every page shows.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) t: &'static Texts,
    pub(super) lang: Lang,
    pub(super) other_lang: Lang,
    pub(super) other_lang_href: String,
    pub(super) style_href: String,
    pub(super) host: String,
    pub(super) visitor: Option<&'a Visitor>,
    pub(super) notice: Option<&'static str>,
    path: &'a str,
}

/// The parts of the console, in the order of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Sessions,
    People,
    Routes,
    Sync,
    Audit,
    Connectors,
    Config,
}

const SECTIONS: [Section; 8] = [
    Section::Overview,
    Section::Sessions,
    Section::People,
    Section::Routes,
    Section::Sync,
    Section::Audit,
    Section::Connectors,
    Section::Config,
];

impl Section {
    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Sessions => "/sessions",
            Self::People => "/people",
            Self::Routes => "/routes",
            Self::Sync => "/sync",
            Self::Audit => "/audit",
            Self::Connectors => "/connectors",
            Self::Config => "/config",
        }
    }

    pub(super) fn href(self) -> String {
        format!("{PATH}{}", self.path())
    }

    pub(super) fn label(self, texts: &'static Texts) -> &'static str {
        match self {
            Self::Overview => texts.overview,
            Self::Sessions => texts.sessions,
            Self::People => texts.people,
            Self::Routes => texts.routes,
            Self::Sync => texts.sync,
            Self::Audit => texts.audit,
            Self::Connectors => texts.connectors,
            Self::Config => texts.config,
        }
    }

    /// A picture, as SVG.
    pub(super) fn icon(self) -> &'static str {
        match self {
            Self::Overview => include_str!("../../../../templates/console/icons/overview.svg"),
            Self::Sessions => include_str!("../../../../templates/console/icons/sessions.svg"),
            Self::People => include_str!("../../../../templates/console/icons/people.svg"),
            Self::Routes => include_str!("../../../../templates/console/icons/routes.svg"),
            Self::Sync => include_str!("../../../../templates/console/icons/sync.svg"),
            Self::Audit => include_str!("../../../../templates/console/icons/audit.svg"),
            Self::Connectors => include_str!("../../../../templates/console/icons/connectors.svg"),
            Self::Config => include_str!("../../../../templates/console/icons/config.svg"),
        }
    }
}

impl<'a> Frame<'a> {
    /// Of a page outside of the navigation.
    pub(super) fn alone(request: &'a ConsoleRequest<'a>) -> Self {
        let other_lang = match request.lang {
            Lang::Zh => Lang::En,
            Lang::En => Lang::Zh,
        };
        let t = texts::of(request.lang);
        Self {
            t,
            lang: request.lang,
            other_lang,
            other_lang_href: request.address_in(other_lang),
            style_href: files::style_href(),
            host: request.head.host.as_str().to_owned(),
            visitor: None,
            notice: Notice::of(request).map(|notice| notice.text(t)),
            path: request.path,
        }
    }

    /// Of a page for a visitor.
    pub(super) fn of(context: &'a PageContext<'a>) -> Self {
        Self {
            visitor: Some(context.visitor),
            ..Self::alone(context.request)
        }
    }

    pub(super) fn sections(&self) -> [Section; 8] {
        SECTIONS
    }

    /// Whether the page belongs to a section.
    pub(super) fn is_in(&self, section: &Section) -> bool {
        let rest = self.path.strip_prefix(section.path());
        match section {
            Section::Overview => self.path == "/",
            _ => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    pub(super) fn is_view_only(&self) -> bool {
        self.visitor
            .is_some_and(|visitor| visitor.right == ConsoleRight::View)
    }
}

impl PageContext<'_> {
    pub(super) fn texts(&self) -> &'static Texts {
        texts::of(self.request.lang)
    }

    pub(super) fn may_change(&self) -> bool {
        self.visitor.right == ConsoleRight::Change
    }

    /// A time as the page shows it.
    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            at,
            now: self.request.head.received_at,
            lang: self.request.lang,
        }
    }

    /// The IDs of the connectors, for choices.
    pub(super) fn connector_ids(&self) -> Vec<String> {
        let entries = self.site.login.entries().iter();
        entries.map(|entry| entry.id.to_string()).collect()
    }
}
