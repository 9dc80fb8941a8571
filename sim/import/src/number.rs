//! Numbers and sizes as tools and spreadsheets write them.

use migsim_models::units::Bytes;

/// A whole number, with or without separators between its thousands: `16384`, `16,384`, `16.384`,
/// `16 384`, `16'384`. `None`: it is none.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let separator = text.chars().find(|c| !c.is_ascii_digit());
    let Some(separator) =
        separator.filter(|c| [',', '.', ' ', '\'', '\u{a0}', '\u{202f}'].contains(c))
    else {
        return text.parse().ok();
    };
    let mut parts = text.split(separator);
    let first = parts.next()?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (1..=3).contains(&first.len()) && digits(first) {
        let rest: Vec<&str> = parts.collect();
        if rest.iter().all(|part| part.len() == 3 && digits(part)) {
            return format!("{first}{}", rest.concat()).parse().ok();
        }
    }
    // `16384.00`.
    let (before, after) = text.split_once(separator)?;
    (after.bytes().all(|byte| byte == b'0')).then(|| before.parse().ok())?
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
        for text in ["", "x", "16.38", "16,3840", "1,2,3", "-3", "16384.5"] {
            assert_eq!(whole(text), None, "{text}");
        }
        assert_eq!(whole("1.048.229"), Some(1_048_229));
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
