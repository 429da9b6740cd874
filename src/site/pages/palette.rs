//! `Palette`: the colours of the pages that follow from the colour of the configuration, as style rules.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::color::Color;

/// The least contrast of a text (WCAG 2.2, 1.4.3).
const TEXT_CONTRAST_MIN: f64 = 4.5;
/// The least contrast of what is no text but must be seen (WCAG 2.2, 1.4.11).
const SHAPE_CONTRAST_MIN: f64 = 3.0;

/// The colours of the pages: a style sheet that follows that of menshen, and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    css: String,
    /// The SHA-256 of `css` in base64, for a CSP hash source.
    digest: String,
}

/// The colours that do not depend on the configuration.
struct Neutrals {
    background: Color,
    card: Color,
    text: Color,
    muted_text: Color,
    border: Color,
    control_border: Color,
}

const LIGHT: Neutrals = Neutrals {
    background: Color::rgb(0xf4, 0xf5, 0xf7),
    card: Color::WHITE,
    text: Color::rgb(0x1f, 0x23, 0x28),
    muted_text: Color::rgb(0x57, 0x60, 0x6a),
    border: Color::rgb(0xd8, 0xde, 0xe4),
    control_border: Color::rgb(0x81, 0x8b, 0x98),
};

const DARK: Neutrals = Neutrals {
    background: Color::rgb(0x10, 0x12, 0x14),
    card: Color::rgb(0x1a, 0x1d, 0x21),
    text: Color::rgb(0xe8, 0xea, 0xed),
    muted_text: Color::rgb(0xa9, 0xb0, 0xb8),
    border: Color::rgb(0x33, 0x38, 0x3f),
    control_border: Color::rgb(0x6e, 0x76, 0x81),
};

/// The colours of one scheme, light or dark.
struct Scheme {
    background: Color,
    notice: Color,
    accent: Color,
    accent_hover: Color,
    /// Around what has the accent, so that it is seen on the card.
    accent_border: Color,
    on_accent: Color,
    highlight: Color,
    door: Color,
    door_deep: Color,
}

impl Palette {
    /// The colours that follow from one.
    pub fn of(color: Color) -> Self {
        let light = Scheme::light(color).rules(&LIGHT);
        let dark = Scheme::dark(color).rules(&DARK);
        let css = format!(":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}");
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, css.as_bytes()));
        Self { css, digest }
    }

    /// The style sheet, which holds nothing but custom properties.
    pub fn css(&self) -> &str {
        &self.css
    }

    /// The SHA-256 of the style sheet in base64.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Scheme {
    fn light(color: Color) -> Self {
        let (accent, on_accent) = button(color);
        Self {
            background: LIGHT.background.mixed(color, 4),
            notice: LIGHT.card.mixed(color, 8),
            door: accent.mixed(Color::BLACK, 12),
            door_deep: accent.mixed(Color::BLACK, 30),
            ..Self::new(accent, on_accent, &LIGHT, Color::BLACK)
        }
    }

    fn dark(color: Color) -> Self {
        let (accent, on_accent) = button(color);
        // A dark colour would not be seen on the dark card. White can still be read on the lighter one.
        let accent = accent.toward(Color::WHITE, |it| {
            let is_seen = it.contrast(DARK.card) >= SHAPE_CONTRAST_MIN;
            is_seen && it.contrast(on_accent) >= TEXT_CONTRAST_MIN
        });
        Self {
            background: DARK.background.mixed(color, 3),
            notice: DARK.card.mixed(color, 12),
            door: accent.mixed(Color::BLACK, 62),
            door_deep: accent.mixed(Color::BLACK, 74),
            ..Self::new(accent, on_accent, &DARK, Color::WHITE)
        }
    }

    /// `away` is the colour that is seen best on the card.
    fn new(accent: Color, on_accent: Color, neutrals: &Neutrals, away: Color) -> Self {
        let is_seen = |it: Color| it.contrast(neutrals.card) >= SHAPE_CONTRAST_MIN;
        let visible = accent.toward(away, is_seen);
        // The text is read better on the hovered button, not worse.
        let farther = match on_accent == Color::WHITE {
            true => Color::BLACK,
            false => Color::WHITE,
        };
        Self {
            background: neutrals.background,
            notice: neutrals.card,
            accent,
            accent_hover: accent.mixed(farther, 14),
            accent_border: visible,
            on_accent,
            highlight: visible,
            door: accent,
            door_deep: accent,
        }
    }

    fn rules(&self, neutrals: &Neutrals) -> String {
        let mut rules = String::new();
        for (name, color) in [
            ("background", self.background),
            ("card", neutrals.card),
            ("text", neutrals.text),
            ("muted-text", neutrals.muted_text),
            ("border", neutrals.border),
            ("control-border", neutrals.control_border),
            ("notice", self.notice),
            ("accent", self.accent),
            ("accent-hover", self.accent_hover),
            ("accent-border", self.accent_border),
            ("on-accent", self.on_accent),
            ("highlight", self.highlight),
            ("door", self.door),
            ("door-deep", self.door_deep),
            ("mark", self.accent),
        ] {
            rules.push_str(&format!("--{name}:{color};"));
        }
        rules
    }
}

/// The colour of a button and of the text on it: white on a slightly darker button where that is enough,
/// otherwise black.
fn button(color: Color) -> (Color, Color) {
    if color.contrast(Color::WHITE) < SHAPE_CONTRAST_MIN {
        return (color, Color::BLACK);
    }
    let is_read = |it: Color| it.contrast(Color::WHITE) >= TEXT_CONTRAST_MIN;
    (color.toward(Color::BLACK, is_read), Color::WHITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Colours of every hue, from black to white.
    fn colors() -> impl Iterator<Item = Color> {
        let levels = [0_u8, 0x33, 0x66, 0x80, 0x99, 0xcc, 0xff];
        levels.into_iter().flat_map(move |red| {
            let rest = levels.into_iter();
            rest.flat_map(move |green| levels.map(move |blue| Color::rgb(red, green, blue)))
        })
    }

    fn assert_readable(color: Color, scheme: &Scheme, neutrals: &Neutrals) {
        for (what, one, two, min) in [
            ("button", scheme.on_accent, scheme.accent, 4.5),
            ("hovered button", scheme.on_accent, scheme.accent_hover, 4.5),
            ("text", neutrals.text, neutrals.card, 4.5),
            ("muted text", neutrals.muted_text, neutrals.card, 4.5),
            ("notice", neutrals.text, scheme.notice, 4.5),
            ("muted notice", neutrals.muted_text, scheme.notice, 4.5),
            (
                "shape of the button",
                scheme.accent_border,
                neutrals.card,
                3.0,
            ),
            ("focus", scheme.highlight, neutrals.card, 3.0),
            ("control", neutrals.control_border, neutrals.card, 3.0),
        ] {
            let contrast = one.contrast(two);
            assert!(contrast >= min, "{color} {what}: {one} {two} {contrast:.2}");
        }
    }

    #[test]
    fn every_color_leaves_texts_and_buttons_readable_in_light_and_dark() {
        for color in colors() {
            assert_readable(color, &Scheme::light(color), &LIGHT);
            assert_readable(color, &Scheme::dark(color), &DARK);
        }
    }

    #[test]
    fn a_color_that_can_be_read_is_kept() {
        let color = Color::rgb(0x0b, 0x57, 0xd0);
        assert_eq!(Scheme::light(color).accent, color);
        assert_eq!(Scheme::light(color).on_accent, Color::WHITE);
        let yellow = Color::rgb(0xff, 0xd1, 0x00);
        assert_eq!(Scheme::light(yellow).accent, yellow);
        assert_eq!(Scheme::light(yellow).on_accent, Color::BLACK);
    }
}
