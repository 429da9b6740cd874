//! Links on pages, restricted to safe targets.

use std::fmt;

/// A link on a page: a path on this host or an absolute `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Href(String);

impl Href {
    /// Keeps a path or web URL unchanged; everything else becomes `/`.
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        let local = address.starts_with('/') && !address[1..].starts_with(['/', '\\']);
        let web = address.starts_with("https://") || address.starts_with("http://");
        // Browsers remove tabs and line breaks, so `/<tab>/host` would link to another host.
        let clean = !address.chars().any(|c| c.is_ascii_control());
        if clean && (local || web) {
            Self(address)
        } else {
            Self("/".to_owned())
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Href {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_web_addresses_are_kept() {
        for good in [
            "/",
            "/.menshen/start?rd=%2F",
            "https://sso.corp.example/a",
            "http://x/",
        ] {
            assert_eq!(Href::new(good).as_str(), good);
        }
    }

    #[test]
    fn an_unsafe_link_becomes_the_home_page() {
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            " https://evil.example",
            "",
        ] {
            assert_eq!(Href::new(bad).as_str(), "/", "{bad}");
        }
    }
}
