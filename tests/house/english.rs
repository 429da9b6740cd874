//! Finds English sentences in texts that should be Chinese.

/// The first three English words in a row. What stands in backticks or quotation marks, keys, names with digits or
/// punctuation, and addresses are no words.
pub(crate) fn english_words(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words: Vec<&str> = Vec::new();
        let line = without_quoted(line);
        for part in line.split_whitespace() {
            let word = part.trim_matches([',', ';', ':', '.', '(', ')', '!', '?']);
            let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
            match is_word {
                true => words.push(word),
                false => words.clear(),
            }
            if words.len() == 3 {
                return Some(words.join(" "));
            }
        }
        None
    })
}

/// A line with a mark in place of each quoted part and of each character that is not ASCII.
fn without_quoted(line: &str) -> String {
    let (mut rest, mut end) = (String::new(), None);
    for letter in line.chars() {
        match (end, letter) {
            (Some(quote), letter) if letter == quote => end = None,
            (Some(_), _) => {}
            (None, '`' | '"') => end = Some(letter),
            (None, '“') => end = Some('”'),
            (None, letter) if letter.is_ascii() => rest.push(letter),
            (None, _) => rest.push_str(" | "),
        }
        if end == Some(letter) || (end.is_none() && matches!(letter, '`' | '"' | '”')) {
            rest.push_str(" | ");
        }
    }
    rest
}

#[test]
fn three_english_words_in_a_row_are_found() {
    for (text, found) in [
        (
            "无法连接管理 API：connection refused by peer",
            Some("connection refused by"),
        ),
        ("错误: the token is wrong", Some("the token is")),
        ("管理 API 没有应答", None),
        (
            "请运行 `menshen check --online now please`：见 “the source says no”",
            None,
        ),
        ("[admin] listen unix:/run/menshen/admin.sock", None),
        ("GET http://sso.test/finance/x from 192.0.2.7", None),
        ("user.login = \"li si wu\" 是", None),
    ] {
        assert_eq!(english_words(text).as_deref(), found, "{text}");
    }
}
