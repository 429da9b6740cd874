//! Texts whose words do not end a line at a hyphen.

/// A text of ours as HTML in which a word with a hyphen, such as "sign-in", stays on one line. With
/// non-breaking hyphens a search on the page would not find the word.
pub(super) fn unbroken(text: &'static str) -> String {
    let words = text
        .split(' ')
        .map(|word| match word.trim_matches('-').contains('-') {
            true => format!("<span class=\"nowrap\">{word}</span>"),
            false => word.to_owned(),
        });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_hyphen_stays_on_one_line() {
        let html = unbroken("Sign-in is busy - the sign-in, you see.");
        let expected = "<span class=\"nowrap\">Sign-in</span> is busy - the \
                        <span class=\"nowrap\">sign-in,</span> you see.";
        assert_eq!(html, expected);
        assert_eq!(unbroken("登录服务繁忙"), "登录服务繁忙");
    }
}
