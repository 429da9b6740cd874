//! The encoding of a configuration file, which must be UTF-8.

use super::document::Document;
use super::error::{ConfigError, Problem};
use super::text::ConfigText;
use crate::text;
use crate::wording::Text;

/// The text of a file.
///
/// # Errors
/// The first place that is not UTF-8, with the encoding that it probably has.
pub(super) fn decode<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, ConfigError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(text) = utf16(bytes) {
        let source = ConfigText::new(&text, name, Document::default());
        let message = text!(
            "the file is UTF-16 and not UTF-8",
            "文件是 UTF-16 编码，不是 UTF-8"
        );
        let help = text!(
            "save it as UTF-8, or convert it: iconv -f UTF-16 -t UTF-8",
            "请另存为 UTF-8，或转换：iconv -f UTF-16 -t UTF-8"
        );
        let problem = Problem::at(&source, 0..0, message).with_help(help);
        return Err(ConfigError::new(&source, vec![problem]));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let shown = String::from_utf8_lossy(bytes);
        let source = ConfigText::new(&shown, name, Document::default());
        // Everything before is UTF-8, so the place is the same in the shown text.
        let (message, help) = words(&bytes[at..]);
        let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
        let problem = Problem::at(&source, span, message).with_help(help);
        ConfigError::new(&source, vec![problem])
    })
}

/// The problem of bytes that are not UTF-8.
fn words(bytes: &[u8]) -> (Text, Text) {
    match bytes {
        // The first and the second byte of a character of GBK.
        [0x81..=0xfe, 0x40..=0x7e | 0x80..=0xfe, ..] => (
            text!(
                "this is not UTF-8; it looks like GBK",
                "这里不是 UTF-8，看起来是 GBK 编码"
            ),
            text!(
                "save the file as UTF-8, or convert it: iconv -f GB18030 -t UTF-8",
                "请把文件另存为 UTF-8，或转换：iconv -f GB18030 -t UTF-8"
            ),
        ),
        _ => (
            text!("this is not UTF-8", "这里不是 UTF-8"),
            text!("save the file as UTF-8", "请把文件另存为 UTF-8"),
        ),
    }
}

/// The text of a file in UTF-16, as editors on Windows write it with a byte order mark.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (rest, unit): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => (rest, u16::from_be_bytes),
        _ => return None,
    };
    let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let units: Vec<_> = units.collect();
    Some(String::from_utf16_lossy(&units))
}
