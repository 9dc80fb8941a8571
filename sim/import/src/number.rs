//! Numbers and sizes as tools and spreadsheets write them.

use migsim_models::units::Bytes;

/// What may stand between thousands beside the two that may be the decimal mark.
const APART: [char; 5] = [' ', '\'', '\u{2019}', '\u{a0}', '\u{202f}'];

/// A whole number, with or without separators between its thousands: `16384`, `16,384`, `16.384`,
/// `16 384`, `16'384`, `8,192.00`. `None`: it is none.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let text: String = text.trim().chars().filter(|c| !APART.contains(c)).collect();
    let by =
        |mark: char| decimal(&text, mark).filter(|value| value.fract() == 0.0 && *value < 1e18);
    // Of a whole number the last mark is a decimal one only where nothing but zeros follow; three
    // digits behind a mark are thousands.
    let found = [',', '.'].into_iter().find_map(|thousands| {
        let mark = if thousands == ',' { '.' } else { ',' };
        let after = text.rsplit_once(mark).map(|(_, after)| after.len());
        by(mark).filter(|_| after.is_none_or(|digits| digits != 3 || text.contains(thousands)))
    });
    found.map(|value| value as u64)
}

/// A number with that decimal mark; the other one may stand between thousands. `None`: it is none.
pub(crate) fn decimal(text: &str, mark: char) -> Option<f64> {
    let text: String = text.trim().chars().filter(|c| !APART.contains(c)).collect();
    let thousands = if mark == '.' { ',' } else { '.' };
    let (before, after) = match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text.as_str(), None),
    };
    let (sign, before) = before.strip_prefix('-').map_or((1.0, before), |rest| (-1.0, rest));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = before.split(thousands);
    let first = parts.next().filter(|part| digits(part))?;
    let rest: Vec<&str> = parts.collect();
    let grouped = rest.is_empty() || first.len() <= 3;
    if !grouped
        || rest.iter().any(|part| part.len() != 3 || !digits(part))
        || after.is_some_and(|part| !digits(part))
    {
        return None;
    }
    let text = format!("{first}{}.{}", rest.concat(), after.unwrap_or("0"));
    text.parse::<f64>().ok().map(|value| sign * value)
}

/// A size with its unit, of which each tool means the binary one: `6.895 GiB`, `19913244672`
/// (bytes), `65842356Ki`, `16384M`, `16 GB`. `None`: it is none.
pub(crate) fn size(text: &str) -> Option<Bytes> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" | "ki" | "kbytes" | "kbyte" => 10,
        "m" | "mb" | "mib" | "mi" | "mbytes" => 20,
        "g" | "gb" | "gib" | "gi" => 30,
        "t" | "tb" | "tib" | "ti" => 40,
        _ => return None,
    };
    let bytes = number * (1_u64 << shift) as f64;
    (bytes >= 0.0 && bytes < u64::MAX as f64).then_some(Bytes(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_spreadsheets_of_all_countries_write_them() {
        for text in ["16384", "16,384", "16.384", "16 384", "16'384", "16\u{a0}384", "16384.00"] {
            assert_eq!(whole(text), Some(16384), "{text}");
        }
        assert_eq!(
            (whole("8,192.00"), whole("4.096,00"), whole("16\u{2019}384")),
            (Some(8192), Some(4096), Some(16384))
        );
        for text in ["", "x", "16.38", "16,3840", "1,2,3", "16384.5"] {
            assert_eq!(whole(text), None, "{text}");
        }
        assert_eq!(whole("1.048.229"), Some(1_048_229));
    }

    #[test]
    fn a_decimal_mark_that_is_known_leaves_no_doubt() {
        for (text, mark, value) in [
            ("12,000", '.', 12000.0),
            ("12,000", ',', 12.0),
            ("1.234", ',', 1234.0),
            ("3.875", '.', 3.875),
            ("0,5", ',', 0.5),
            ("1,234,567.5", '.', 1_234_567.5),
            ("-3", '.', -3.0),
        ] {
            assert_eq!(decimal(text, mark), Some(value), "{text}");
        }
        for (text, mark) in [("2,5", '.'), ("1.2.3", '.'), ("", '.'), ("1e5", '.'), (".5", '.')] {
            assert_eq!(decimal(text, mark), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_the_units_of_tools() {
        assert_eq!(size("16.000 GiB"), Some(Bytes(16 << 30)));
        assert_eq!(size("65842356Ki"), Some(Bytes(65_842_356 << 10)));
        assert_eq!(size("7229440 kbytes"), Some(Bytes(7_229_440 << 10)));
        assert_eq!(size("384 B"), Some(Bytes(384)));
        for text in ["", "GiB", "3 bananas", "1e400"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
