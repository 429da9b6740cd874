//! The base URLs of sources, most of which have a default.

use url::Url;

use crate::wording::Text;

/// What [`is_web_url`] requires, as the help of a setting.
pub(crate) const WEB_URL_RULE: Text = Text::fixed(
    "begins with http:// or https://",
    "应以 http:// 或 https:// 开头",
);

/// Whether HTTP requests can be sent to a URL.
pub(crate) fn is_web_url(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// The URL below a base URL, whether or not that ends with a slash.
pub(crate) fn below<'a>(base: &Url, path: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// A URL that is a default of a setting.
pub(crate) fn default_url(text: &str) -> Url {
    Url::parse(text).expect("the default URLs are valid")
}
