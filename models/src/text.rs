//! Somebody else's text, where it is repeated.

/// The most characters of a bad field that a message repeats.
const MOST_QUOTED: usize = 80;

/// Somebody's text as it may stand in a message or a file: control characters escaped, and no
/// longer than a line.
pub fn quoted(text: &str) -> String {
    shown(&clipped(text, MOST_QUOTED))
}

/// The first so many characters, with dots where that is not all.
pub fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first so many of some names, and how many there are more.
pub fn first_of(names: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let more = match names.len().saturating_sub(most) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names.take(most).collect::<Vec<_>>().join(", "))
}

/// How many of something: `1 guest`, `2 guests`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Somebody's text with what would move the cursor, ring, or turn the line about escaped: control
/// characters, line separators and the marks of bidirectional text.
pub fn shown(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(hidden) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if hidden(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// A cell as a spreadsheet may open it: text that it would take for a formula is quoted with an
/// apostrophe.
pub fn harmless(cell: &str) -> String {
    let starts = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if starts && cell.trim().parse::<f64>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut() {
        for (text, expected) in [
            ("plain, naïve 名前", "plain, naïve 名前"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\tb\nc\0", "a\\tb\\nc\\u{0}"),
            ("left\u{202e}right", "left\\u{202e}right"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(quoted(&"x".repeat(1000)).len(), MOST_QUOTED + 3);
        assert_eq!(quoted("\u{1b}"), "\\u{1b}");
    }
}
