//! `Field`: a setting of a connector as a control of its form.

use crate::login::connector::LocalizedText;

/// A setting with its control. A static list of them describes the form of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The key below `[connector.ID]`, which is the `name` of the control: `wecom.corp_id`.
    pub(super) key: &'static str,
    pub(super) control: Control,
    pub(super) label: LocalizedText,
    /// What it does, or where to find it at the source; may be empty.
    pub(super) hint: LocalizedText,
    /// The default, as the control shows it; empty: there is none.
    pub(super) default: &'static str,
    pub(super) is_required: bool,
}

/// How a setting is shown and read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control {
    /// A line. Empty: the key is absent.
    Text,
    /// A text for people: one for both languages, or `{ zh = "…", en = "…" }`.
    Label,
    /// An address of the web.
    Url,
    /// A line that is taken with its spaces.
    Verbatim,
    /// A line that begins with the default; empty is a value of its own.
    Filled,
    /// A whole number.
    Number,
    /// A box to tick.
    Check,
    /// A boolean that may be absent.
    OptionalCheck,
    /// One of several. A choice with an empty value: the key is absent.
    Choice(&'static [Choice]),
    /// Any of several.
    Several(&'static [Choice]),
    /// A list with an item on each line.
    List,
    /// The same; a single item is a text and not a list.
    OneOrList,
    /// A text with several lines, such as CEL or certificates.
    Lines,
    /// A table with free names, as lines of TOML. Names that have a control of their own are not in it.
    Table,
    /// An array of tables, as TOML.
    Tables,
    /// A secret of one line. Never shown; empty: it is kept.
    Secret,
    /// A secret with several lines, such as a private key.
    SecretLines,
    /// One key or several, with an empty line between them. Shown if they are public.
    Keys,
    /// An address that may contain a password, and is then never shown.
    SecretUrl,
    /// A table with free names whose values are secrets: a control for each, and lines of TOML for new ones.
    Secrets,
    /// Whether a table is there.
    Switch,
    /// Only the configuration file can say it: shown if it does.
    FileOnly,
}

/// A choice among several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) label: LocalizedText,
}

/// A part of a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Its `id` on the page.
    pub(super) name: &'static str,
    pub(super) title: LocalizedText,
    pub(super) note: LocalizedText,
    /// Whether it is closed at first. A required setting is never in such a section.
    pub(super) is_folded: bool,
    pub(super) fields: &'static [Field],
}

/// What has to be entered at the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) place: Place,
    /// Where it is entered.
    pub(super) label: LocalizedText,
}

/// An address of menshen for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The callback URL.
    Callback,
    /// The host of the callback URL.
    CallbackHost,
    /// Where a login of this connector begins, which ends at its home page.
    Start,
    /// Where a portal sends people with a token.
    Enter,
    /// Where the source sends its events.
    Events,
    /// The SAML metadata of menshen.
    Metadata,
}

const NOTHING: LocalizedText = words("", "");

/// A text in Chinese and in English.
pub(super) const fn words(zh: &'static str, en: &'static str) -> LocalizedText {
    LocalizedText { en, zh }
}

pub(super) const fn field(
    key: &'static str,
    control: Control,
    zh: &'static str,
    en: &'static str,
) -> Field {
    Field {
        key,
        control,
        label: words(zh, en),
        hint: NOTHING,
        default: "",
        is_required: false,
    }
}

pub(super) const fn choice(value: &'static str, zh: &'static str, en: &'static str) -> Choice {
    Choice {
        value,
        label: words(zh, en),
    }
}

pub(super) const fn section(
    name: &'static str,
    zh: &'static str,
    en: &'static str,
    fields: &'static [Field],
) -> Section {
    Section {
        name,
        title: words(zh, en),
        note: NOTHING,
        is_folded: false,
        fields,
    }
}

pub(super) const fn address(place: Place, zh: &'static str, en: &'static str) -> Address {
    Address {
        place,
        label: words(zh, en),
    }
}

impl Field {
    pub(super) const fn hint(mut self, zh: &'static str, en: &'static str) -> Self {
        self.hint = words(zh, en);
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }
}

impl Section {
    pub(super) const fn note(mut self, zh: &'static str, en: &'static str) -> Self {
        self.note = words(zh, en);
        self
    }

    pub(super) const fn folded(mut self) -> Self {
        self.is_folded = true;
        self
    }
}
