//! `Color`: a colour of the configuration, and how well a text can be read on it (WCAG 2.2).

use std::fmt;

use serde::Deserialize;

use crate::setting::text_schema;
use crate::wording::{Text, error_of_text};

/// A colour in sRGB, written `#rrggbb` or `#rgb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Color([u8; 3]);

/// A text that is not a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidColor;

impl InvalidColor {
    fn text(&self) -> Text {
        Text::fixed(
            "a colour is # and six hexadecimal digits, such as #0b57d0, or three",
            "颜色应为 # 加六位十六进制数字，例如 #0b57d0，也可以是三位",
        )
    }
}

error_of_text!(InvalidColor);

/// In how many steps a colour is moved towards another one until it fits.
const STEPS: u16 = 64;

impl Color {
    pub(super) const WHITE: Self = Self([255; 3]);
    pub(super) const BLACK: Self = Self([0; 3]);

    pub(super) const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// The relative luminance, from 0 to 1.
    fn luminance(self) -> f64 {
        let linear = self.0.map(|channel| {
            let channel = f64::from(channel) / 255.0;
            match channel <= 0.040_45 {
                true => channel / 12.92,
                false => ((channel + 0.055) / 1.055).powf(2.4),
            }
        });
        let [red, green, blue] = linear;
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio of two colours, from 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour mixed with a percentage of another one.
    pub(super) fn mixed(self, other: Self, percent: u8) -> Self {
        self.moved(other, percent.into(), 100)
    }

    /// The colour nearest to this one, on the way to another one, that fits; the other one if none does.
    pub(super) fn toward(self, other: Self, fits: impl Fn(Self) -> bool) -> Self {
        let mut colors = (0..STEPS).map(|step| self.moved(other, step, STEPS));
        colors.find(|color| fits(*color)).unwrap_or(other)
    }

    fn moved(self, other: Self, part: u16, whole: u16) -> Self {
        let part = part.min(whole);
        let channel = |index: usize| {
            let (from, to) = (u32::from(self.0[index]), u32::from(other.0[index]));
            let sum = from * u32::from(whole - part) + to * u32::from(part);
            u8::try_from(sum / u32::from(whole)).unwrap_or(u8::MAX)
        };
        Self([channel(0), channel(1), channel(2)])
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl TryFrom<String> for Color {
    type Error = InvalidColor;

    fn try_from(text: String) -> Result<Self, InvalidColor> {
        let digits = text.strip_prefix('#').ok_or(InvalidColor)?;
        let digits: Option<Vec<u8>> = digits
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect();
        match digits.as_deref() {
            Some(&[red, green, blue]) => Ok(Self([red * 17, green * 17, blue * 17])),
            Some(&[r1, r2, g1, g2, b1, b2]) => Ok(Self([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2])),
            _ => Err(InvalidColor),
        }
    }
}

text_schema! {
    Color: "# and six hexadecimal digits, or three",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(text: &str) -> Result<Color, InvalidColor> {
        Color::try_from(text.to_owned())
    }

    #[test]
    fn a_color_has_six_hexadecimal_digits_or_three() {
        assert_eq!(color("#0B57d0").unwrap().to_string(), "#0b57d0");
        assert_eq!(color("#09f").unwrap().to_string(), "#0099ff");
        for bad in [
            "",
            "#",
            "0b57d0",
            "#0b57d",
            "#0b57d0ff",
            "#0b57dg",
            "blue",
            "#0b57d0;}",
            "＃0b57d0",
        ] {
            assert_eq!(color(bad), Err(InvalidColor), "{bad}");
        }
    }

    #[test]
    fn the_contrast_is_that_of_wcag() {
        let contrast = |one: &str, two: &str| color(one).unwrap().contrast(color(two).unwrap());
        assert!((contrast("#000", "#fff") - 21.0).abs() < 1e-9);
        assert!((contrast("#777777", "#fff") - 4.478).abs() < 0.001);
        assert!((contrast("#0b57d0", "#0b57d0") - 1.0).abs() < 1e-9);
    }
}
