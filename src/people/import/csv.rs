//! Reads CSV as RFC 4180 describes it: fields separated by commas, quoted where they contain commas,
//! quotes or line breaks. Empty lines are skipped.

use std::iter::Peekable;
use std::str::Chars;

use crate::wording::Text;

/// A record with the line where it begins.
pub(in crate::people) type Record = (usize, Result<Vec<String>, Text>);

const OPEN_QUOTE: Text = Text::fixed("a quoted field does not end", "引号没有结束");
const TEXT_AFTER_QUOTE: Text = Text::fixed("text follows a quoted field", "引号结束后还有文字");
const QUOTE_INSIDE: Text = Text::fixed(
    "a quote within a field that is not quoted",
    "没有加引号的字段里有引号",
);

/// The records of a file, with their lines.
pub(in crate::people) fn records(text: &str) -> impl Iterator<Item = Record> {
    Records {
        chars: text.chars().peekable(),
        line: 1,
    }
}

struct Records<'a> {
    chars: Peekable<Chars<'a>>,
    /// The line of the next character.
    line: usize,
}

/// What ended a field.
enum End {
    Comma,
    Line,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self
            .chars
            .next_if(|c| matches!(c, '\r' | '\n'))
            .map(|c| self.count(c))
            .is_some()
        {}
        self.chars.peek()?;
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            match self.field() {
                Ok((field, end)) => {
                    fields.push(field);
                    if matches!(end, End::Line) {
                        return Some((line, Ok(fields)));
                    }
                }
                Err(why) => {
                    self.skip_line();
                    return Some((line, Err(why)));
                }
            }
        }
    }
}

impl Records<'_> {
    fn count(&mut self, c: char) {
        if c == '\n' {
            self.line += 1;
        }
    }

    fn take(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.count(c);
        Some(c)
    }

    fn field(&mut self) -> Result<(String, End), Text> {
        let is_quoted = self.chars.next_if_eq(&'"').is_some();
        let field = if is_quoted {
            self.quoted()?
        } else {
            self.plain()?
        };
        let end = match self.take() {
            Some(',') => End::Comma,
            None | Some('\n') => End::Line,
            Some('\r') => {
                if self.chars.next_if_eq(&'\n').is_some() {
                    self.count('\n');
                }
                End::Line
            }
            Some(_) => return Err(TEXT_AFTER_QUOTE),
        };
        Ok((field, end))
    }

    fn plain(&mut self) -> Result<String, Text> {
        let mut field = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, ',' | '\r' | '\n')) {
            if c == '"' {
                return Err(QUOTE_INSIDE);
            }
            field.push(c);
        }
        Ok(field)
    }

    fn quoted(&mut self) -> Result<String, Text> {
        let mut field = String::new();
        loop {
            match self.take().ok_or(OPEN_QUOTE)? {
                '"' if self.chars.next_if_eq(&'"').is_some() => field.push('"'),
                '"' => return Ok(field),
                c => field.push(c),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.take().is_some_and(|c| c != '\n') {}
    }
}
