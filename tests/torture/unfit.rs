//! What no output may hold.

/// What is no number, what is less than nothing, and the largest number there is in disguise.
pub(crate) fn unfit(text: &str) -> Option<String> {
    let word =
        |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-').to_owned();
    let bad = |word: &String| {
        let lower = word.to_lowercase();
        let number = word.trim_end_matches(|c: char| c.is_alphabetic() || c == '%');
        matches!(lower.as_str(), "nan" | "inf" | "-inf" | "-nan" | "infinity")
            || (number.starts_with('-')
                && number[1..].starts_with(|c: char| c.is_ascii_digit())
                && number[1..].parse::<f64>() == Ok(0.0))
            || number == "18446744073709551615"
            || number == "18446744073709552000"
            || word == "5124095"
    };
    text.split(|c: char| c.is_whitespace() || ",;:\"|<>()".contains(c)).map(word).find(bad)
}
