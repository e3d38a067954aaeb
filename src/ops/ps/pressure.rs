//! Pure. The share in a pressure file (`Documentation/accounting/psi.rst`).

use super::listed::Milli;

/// Returns `avg10` of the line `some`, a percentage; `None` for a text of another shape.
pub(super) fn some_of_ten_seconds(text: &str) -> Option<Milli> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = line
        .split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?;
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    let (whole, digits): (u128, u128) = (whole.parse().ok()?, digits.parse().ok()?);
    Some(Milli::saturating(
        whole.saturating_mul(1000).saturating_add(digits),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_last_ten_seconds_is_read() {
        let text = "some avg10=12.34 avg60=1.00 avg300=0.50 total=77\n\
            full avg10=99.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(some_of_ten_seconds(text), Some(Milli(12_340)));
        assert_eq!(some_of_ten_seconds("some avg10=100"), Some(Milli(100_000)));
        for text in [
            "",
            "some",
            "some avg10=",
            "some avg10=x.1",
            "full avg10=1.00",
        ] {
            assert_eq!(some_of_ten_seconds(text), None, "{text}");
        }
    }
}
