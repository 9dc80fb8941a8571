//! What of questions lies outside of the runs behind a profile, in words.

use migsim_models::profile::Outside;

/// What of one question lies outside, in words; `None`: nothing.
pub fn outside_words(outside: &[Outside]) -> Option<String> {
    let one = |outside: &Outside| {
        let [least, most] = &outside.range;
        let seen = if least == most { least.clone() } else { format!("{least} to {most}") };
        let factor = outside.factor.map_or(String::new(), |factor| format!(", {factor:.1} times"));
        format!("{} {} (seen: {seen}{factor})", outside.quantity, outside.value)
    };
    let words: Vec<String> = outside.iter().map(one).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Many questions in one sentence: how many lie outside, and of each quantity the farthest. `what`
/// they are, like `guests`; `None`: all lie within.
pub fn outside_of_all(what: &str, all: impl IntoIterator<Item = Vec<Outside>>) -> Option<String> {
    let (mut count, mut out) = (0, 0);
    let mut farthest: Vec<Outside> = Vec::new();
    for outside in all {
        count += 1;
        out += usize::from(!outside.is_empty());
        for one in outside {
            match farthest.iter_mut().find(|known| known.quantity == one.quantity) {
                None => farthest.push(one),
                Some(known) if one.far() > known.far() => *known = one,
                Some(_) => {}
            }
        }
    }
    let words = outside_words(&farthest)?;
    Some(format!(
        "{out} of {count} {what} lie outside of the runs behind the profile, the farthest: {words}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_farthest_is_told() {
        let link = |factor: f64| Outside {
            quantity: "link",
            value: format!("{factor} Gbit/s"),
            range: ["1 Gbit/s".to_owned(), "1 Gbit/s".to_owned()],
            factor: Some(factor),
        };
        let told =
            outside_of_all("guests", [vec![link(2.0)], vec![link(8.0)], Vec::new()]).unwrap();
        assert_eq!(
            told,
            "2 of 3 guests lie outside of the runs behind the profile, the farthest: link 8 Gbit/s (seen: 1 Gbit/s, 8.0 times)"
        );
        assert_eq!(outside_of_all("guests", [Vec::new()]), None);
    }
}
