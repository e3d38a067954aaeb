//! Pure. A value in the JSON of another program, which may have any shape.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A value that costs nothing but itself if its shape is another one than `T` has: `None` then. The
/// value can be as deep as it likes; of one that is too deep for `T`, nothing is kept either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerant<T>(pub Option<T>);

impl<T> Default for Tolerant<T> {
    fn default() -> Tolerant<T> {
        Tolerant(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Tolerant<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tolerant<T>, D::Error> {
        // The text of the value is split off before anything asks for its shape.
        let text = Box::<RawValue>::deserialize(from)?;
        Ok(Tolerant(serde_json::from_str(text.get()).ok()))
    }
}

/// Reads a value for a field of serde; the default of `T` if the value has another shape.
///
/// # Errors
/// When the text is no JSON.
pub fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(Tolerant::deserialize(from)?.0.unwrap_or_default())
}

/// Reads a list for a field of serde, without the values of another shape than `T`; `None` if the
/// value is no list.
///
/// # Errors
/// When the text is no JSON.
pub fn list<'de, D, T>(from: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let values: Tolerant<Vec<Tolerant<T>>> = Tolerant::deserialize(from)?;
    Ok(values.0.map(understood))
}

/// Returns the values of a list that have the shape `T`.
#[must_use]
pub fn understood<T>(list: Vec<Tolerant<T>>) -> Vec<T> {
    list.into_iter().filter_map(|item| item.0).collect()
}

/// Values of every shape but that of a text, some of which no program writes.
#[cfg(test)]
pub(crate) const ODD_VALUES: [&str; 9] = [
    "null",
    "true",
    "-1",
    "1e999",
    "[]",
    "{}",
    "[[1],{}]",
    r#"{"id":1}"#,
    r#""\ud800""#,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_shape_costs_only_itself() {
        let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        for odd in ODD_VALUES.into_iter().chain(["[1]", &deep]) {
            let list: Vec<Tolerant<String>> =
                serde_json::from_str(&format!(r#"["a",{odd},"b"]"#)).unwrap();
            assert_eq!(
                understood(list),
                ["a", "b"],
                "{}",
                &odd[..odd.len().min(20)]
            );
        }
    }
}
