//! `Logo`: the file of the logo, which is checked when it is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::keys::fingerprint;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// The largest file of a logo, in bytes.
pub const LOGO_BYTES_MAX: usize = 256 * 1024;
/// The largest width and height of a PNG file, in pixels: browsers decode it on every page.
const PIXELS_MAX: u32 = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub content_type: &'static str,
    pub bytes: Bytes,
    /// Changes with the file, so that browsers do not show an old one.
    pub version: String,
}

/// Why a file is no logo.
#[derive(Debug)]
pub enum LogoError {
    Read { path: PathBuf, source: io::Error },
    Unusable { path: PathBuf, why: UnusableLogo },
}
error_of_text!(LogoError, caused);

/// What is wrong with the content of a file.
#[derive(Debug)]
pub enum UnusableLogo {
    TooLarge,
    OtherFormat,
    TooManyPixels,
    Malformed(quick_xml::Error),
    Incomplete,
    Script,
    NoSize,
}
error_of_text!(UnusableLogo);

impl LogoError {
    pub fn text(&self) -> Text {
        match self {
            Self::Read { path, .. } => text!(
                "read the logo {}: it must exist and be readable by the user menshen runs as",
                "无法读取图标文件 {}：文件必须存在，并且运行 menshen 的用户可以读取",
                full_path(path),
            ),
            Self::Unusable { path, why } => {
                let path = full_path(path);
                text!(
                    "the logo {path} cannot be used: {why}",
                    "图标文件 {path} 无法使用：{why:#}"
                )
            }
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Unusable { .. } => None,
        }
    }
}

impl UnusableLogo {
    fn text(&self) -> Text {
        match self {
            Self::TooLarge => text!(
                "it has more than {LOGO_BYTES_MAX} bytes",
                "文件超过 {LOGO_BYTES_MAX} 字节"
            ),
            Self::OtherFormat => Text::fixed(
                "it is neither an SVG nor a PNG file",
                "既不是 SVG 文件，也不是 PNG 文件",
            ),
            Self::TooManyPixels => text!(
                "it is wider or higher than {PIXELS_MAX} pixels",
                "宽度或高度超过 {PIXELS_MAX} 像素"
            ),
            Self::Malformed(error) => text!(
                "it is no well-formed SVG: {error}",
                "不是格式正确的 SVG：`{error}`"
            ),
            Self::Incomplete => Text::fixed(
                "it is no complete SVG: its end is missing",
                "SVG 不完整：缺少结尾",
            ),
            Self::Script => Text::fixed(
                "it has a script, which no logo needs",
                "含有脚本，图标不需要脚本",
            ),
            Self::NoSize => Text::fixed(
                "its `svg` element has neither a `viewBox` nor a `width` and a `height`, so browsers would cut it",
                "`svg` 元素没有 `viewBox`，也没有 `width` 和 `height`，浏览器会把图标裁掉一部分",
            ),
        }
    }
}

impl Logo {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, LogoError> {
        let bytes = read_bounded(path).map_err(|source| LogoError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::of(bytes).map_err(|why| LogoError::Unusable {
            path: path.to_owned(),
            why,
        })
    }

    fn of(bytes: Vec<u8>) -> Result<Self, UnusableLogo> {
        if bytes.len() > LOGO_BYTES_MAX {
            return Err(UnusableLogo::TooLarge);
        }
        let content_type = match png_size(&bytes) {
            Some((width, height)) if width.max(height) > PIXELS_MAX => {
                return Err(UnusableLogo::TooManyPixels);
            }
            Some(_) => "image/png",
            None => {
                let text = std::str::from_utf8(&bytes).map_err(|_| UnusableLogo::OtherFormat)?;
                check_svg(text)?;
                "image/svg+xml"
            }
        };
        let digest = fingerprint(&[b"logo", &bytes]);
        let digits = digest.iter().take(4).map(|byte| format!("{byte:02x}"));
        Ok(Self {
            content_type,
            version: digits.collect(),
            bytes: bytes.into(),
        })
    }
}

/// At most one byte more than a logo may have.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bytes_max = u64::try_from(LOGO_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The width and height of a PNG file (RFC 2083 §3.1, §4.1.1); `None` if it is none.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..16)?;
    let sizes = header.strip_prefix(b"IHDR")?;
    let number = |at: usize| {
        let four = sizes.get(at..at + 4)?;
        Some(u32::from_be_bytes(four.try_into().ok()?))
    };
    Some((number(0)?, number(4)?))
}

/// Refuses what is not a document with the root `svg`, and scripts. Browsers run no script of an image, and
/// the response has a policy against them; a file with one was probably meant for something else.
fn check_svg(text: &str) -> Result<(), UnusableLogo> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().enable_all_checks(true);
    let (mut has_root, mut depth) = (false, 0_usize);
    loop {
        let event = reader.read_event();
        let event = event.map_err(|error| match has_root {
            true => UnusableLogo::Malformed(error),
            false => UnusableLogo::OtherFormat,
        })?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.local_name().into_inner();
                if !has_root {
                    check_root(element)?;
                }
                if name.eq_ignore_ascii_case("script") {
                    return Err(UnusableLogo::Script);
                }
                has_root = true;
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if has_root && depth == 0 => return Ok(()),
            Event::Eof if has_root => return Err(UnusableLogo::Incomplete),
            Event::Eof => return Err(UnusableLogo::OtherFormat),
            _ => {}
        }
    }
}

/// Refuses a root that is no `svg`, and one without a size (SVG 2 §8.2, §8.12).
fn check_root(root: &BytesStart<'_>) -> Result<(), UnusableLogo> {
    if root.local_name().into_inner() != "svg" {
        return Err(UnusableLogo::OtherFormat);
    }
    let has = |name: &str| matches!(root.try_get_attribute(name), Ok(Some(_)));
    match has("viewBox") || has("width") && has("height") {
        true => Ok(()),
        false => Err(UnusableLogo::NoSize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str =
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4z"/></svg>"#;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    fn outcome(bytes: &[u8]) -> Result<&'static str, String> {
        let logo = Logo::of(bytes.to_vec());
        logo.map(|logo| logo.content_type)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_content_decides_what_a_logo_is() {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE svg>\n{SVG}");
        assert_eq!(outcome(SVG.as_bytes()), Ok("image/svg+xml"));
        assert_eq!(outcome(declared.as_bytes()), Ok("image/svg+xml"));
        let sized = SVG.replace("viewBox=\"0 0 4 4\"", "width=\"4\" height=\"4\"");
        assert_eq!(outcome(sized.as_bytes()), Ok("image/svg+xml"));
        assert_eq!(outcome(&png(200, 60)), Ok("image/png"));
    }

    #[test]
    fn a_file_that_is_no_logo_is_refused() {
        let script = SVG.replace("<path", "<script>alert(1)</script><path");
        let without_size = SVG.replace(" viewBox=\"0 0 4 4\"", "");
        let only_wide = SVG.replace("viewBox=\"0 0 4 4\"", "width=\"4\"");
        let cut = &SVG[..SVG.len() - "</svg>".len()];
        for (what, bytes) in [
            ("empty", Vec::new()),
            ("html", b"<html><svg></svg></html>".to_vec()),
            ("gif", b"GIF89a\xff\xff".to_vec()),
            ("text", b"logo".to_vec()),
            ("too wide", png(PIXELS_MAX + 1, 1)),
            ("script", script.into_bytes()),
            ("cut off", cut.as_bytes().to_vec()),
            ("without a size", without_size.into_bytes()),
            ("without a height", only_wide.into_bytes()),
            ("too large", vec![b' '; LOGO_BYTES_MAX + 1]),
        ] {
            assert!(outcome(&bytes).is_err(), "{what}");
        }
    }
}
