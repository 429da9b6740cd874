//! `Pages`: whose the pages for people are: name, logo and colour, and where people get help.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::Config;
use crate::setting::Label;

mod color;
mod help;
mod logo;
mod palette;

pub use color::{Color, InvalidColor};
pub use help::{Help, HelpLine, InvalidHelp};
pub use logo::{LOGO_BYTES_MAX, Logo, LogoError};
pub use palette::Palette;

/// The path of the logo below `prefix`.
const LOGO_PATH: &str = "/logo";

/// `[pages]`: how the pages for people look.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PagesConfig {
    /// The name of the company, or of its portal: a text, or `{ zh = "示例公司", en = "Example Ltd" }`. Absent:
    /// pages show the host alone.
    pub name: Option<Label>,
    /// A file with the logo: SVG with a size and without scripts, or PNG, of at most 262,144 bytes. Everybody can
    /// read it at `PREFIX/logo`. Absent: the doors of menshen.
    pub logo: Option<PathBuf>,
    /// The colour of buttons and doors, such as `"#0b57d0"`. It is made darker or lighter where a text could not
    /// be read on it. Absent: red.
    pub color: Option<Color>,
    /// What is beside the page on a wide screen: `doors`, or `plain` for nothing.
    pub background: Background,
    /// Where people get help, at the foot of every page: a text, or an address that begins with `https://`,
    /// `mailto:` or `tel:`; for both languages, or `{ zh = "…", en = "…" }`.
    pub help: Option<Help>,
    /// A last line on every page, such as the name of the owner or a registration number.
    pub footer: Option<Label>,
}

/// What is beside a page on a wide screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    #[default]
    Doors,
    Plain,
}

/// What the pages of a site show of its owner.
#[derive(Debug, Default)]
pub struct Pages {
    pub name: Option<Label>,
    pub logo: Option<Logo>,
    /// The URL of the logo on every host.
    pub logo_path: String,
    /// The colours; absent: those of menshen.
    pub palette: Option<Palette>,
    pub background: Background,
    pub help: Option<Help>,
    pub footer: Option<Label>,
    pub home: Option<Home>,
}

/// The home page that a connector names.
#[derive(Debug)]
pub struct Home {
    pub name: Label,
    pub url: Url,
}

impl Pages {
    /// Reads the file of the logo.
    ///
    /// # Errors
    /// The file cannot be read, or is no logo.
    pub(super) fn build(config: &Config) -> Result<Self, LogoError> {
        let pages = &config.pages;
        let logo = pages.logo.as_deref().map(Logo::read).transpose()?;
        Ok(Self {
            name: pages.name.clone(),
            logo,
            logo_path: format!("{}{LOGO_PATH}", config.prefix),
            palette: pages.color.map(Palette::of),
            background: pages.background,
            help: pages.help.clone(),
            footer: pages.footer.clone(),
            home: home(config),
        })
    }
}

/// The home page with a name of the first connector on the sign-in page that has one.
fn home(config: &Config) -> Option<Home> {
    let mut connectors: Vec<_> = config.connectors.iter().collect();
    connectors.sort_by_key(|(id, _)| config.login.position_of(id));
    let mut homes = connectors.into_iter().map(|(_, connector)| &connector.home);
    let home = homes.find(|home| home.name.is_some())?;
    Some(Home {
        name: home.name.clone()?,
        url: config.external_url.join(&home.desktop).ok()?,
    })
}
