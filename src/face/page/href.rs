//! Links on pages, restricted to safe targets.

use std::fmt;

/// A link on a page: a path on this host or an absolute `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Href(String);

impl Href {
    /// Keeps a path or an `http` or `https` URL unchanged; everything else becomes `/`.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let is_path = url.starts_with('/') && !url[1..].starts_with(['/', '\\']);
        let is_web_url = url.starts_with("https://") || url.starts_with("http://");
        // Browsers remove tabs and line breaks, so `/<tab>/host` would link to another host.
        let has_control = url.chars().any(|c| c.is_ascii_control());
        if !has_control && (is_path || is_web_url) {
            Self(url)
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
    fn paths_and_web_urls_are_kept() {
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
    fn an_unsafe_link_becomes_the_root_path() {
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
