//! Pure. A configuration in outline: the parts to edit as values, and the rest as it was written,
//! however long and however deep.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};
use std::fmt;

/// The maximum length of a part to edit, in bytes; an engine writes a few hundred.
const MAX_PART: usize = 1 << 20;

/// The members of `linux` that may be edited.
const LINUX_PARTS: [&str; 2] = ["namespaces", "timeOffsets"];

/// A configuration of which some parts are values.
#[derive(Debug)]
pub struct Outline<'a> {
    entries: Entries<'a>,
    /// The members of `linux`; `None` if it is no object.
    linux: Option<Entries<'a>>,
    /// The parts that may be edited, as far as the configuration has them.
    pub parts: Value,
}

impl<'a> Outline<'a> {
    /// Parses a configuration.
    ///
    /// # Errors
    /// When the text is no JSON object, or a part to edit is longer than 1 MiB.
    pub fn parse(text: &'a [u8]) -> serde_json::Result<Outline<'a>> {
        let entries: Entries<'a> = serde_json::from_slice(text)?;
        let mut parts = Map::new();
        if let Some(hooks) = entries.get("hooks") {
            parts.insert("hooks".to_owned(), value("hooks", hooks)?);
        }
        let mut linux = None;
        match entries.get("linux").map(RawValue::get) {
            Some(text) if text.starts_with('{') => {
                let own: Entries<'a> = serde_json::from_str(text)?;
                let mut edited = Map::new();
                for name in LINUX_PARTS {
                    if let Some(part) = own.get(name) {
                        edited.insert(name.to_owned(), value(name, part)?);
                    }
                }
                parts.insert("linux".to_owned(), Value::Object(edited));
                linux = Some(own);
            }
            Some("null") => drop(parts.insert("linux".to_owned(), Value::Null)),
            // Any other value is no object.
            Some(_) => drop(parts.insert("linux".to_owned(), Value::Bool(false))),
            None => {}
        }
        Ok(Outline {
            entries,
            linux,
            parts: Value::Object(parts),
        })
    }

    /// Returns the configuration with the edited parts.
    #[must_use]
    pub fn text(&self) -> String {
        let linux = self.linux.as_ref().zip(self.parts.get("linux"));
        let linux = linux.map(|(own, parts)| own.with(&texts(parts, &LINUX_PARTS)));
        let mut changed = texts(&self.parts, &["hooks"]);
        changed.extend(linux.map(|text| ("linux", text)));
        self.entries.with(&changed)
    }
}

/// Returns the named members of `parts` as text, without those that are absent.
fn texts<'n>(parts: &Value, names: &[&'n str]) -> Vec<(&'n str, String)> {
    let names = names.iter();
    let texts = names.filter_map(|name| Some((*name, parts.get(name)?.to_string())));
    texts.collect()
}

fn value(name: &str, text: &RawValue) -> serde_json::Result<Value> {
    let text = text.get();
    if text.len() > MAX_PART {
        let error = format!("{name} is longer than {} MiB", MAX_PART >> 20);
        return Err(serde_json::Error::custom(error));
    }
    serde_json::from_str(text)
}

/// The members of an object in their order, each as it was written.
#[derive(Debug)]
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Entries<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        // The last member of one name counts, as in other JSON parsers.
        let mut entries = self.0.iter().rev();
        entries.find(|(own, _)| own == name).map(|(_, text)| *text)
    }

    /// Returns the object with these members changed, or added at its end.
    fn with(&self, changed: &[(&str, String)]) -> String {
        let mut text = String::from("{");
        let mut add = |name: &str, value: &str| {
            if text.len() > 1 {
                text.push(',');
            }
            text += &Value::from(name).to_string();
            text.push(':');
            text += value;
        };
        for (name, value) in &self.0 {
            let new = changed.iter().find(|(changed, _)| changed == name);
            add(name, new.map_or(value.get(), |(_, new)| new));
        }
        let is_new = |name: &&str| self.get(name).is_none();
        for (name, value) in changed.iter().filter(|(name, _)| is_new(name)) {
            add(name, value);
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(text: &str, edit: impl Fn(&mut Value)) -> String {
        let mut outline = Outline::parse(text.as_bytes()).unwrap();
        edit(&mut outline.parts);
        outline.text()
    }

    #[test]
    fn what_is_not_edited_stays_as_it_was_written() {
        let text = r#"{"z":1e400,"hooks":{"a":1},"linux":{"x":[ 1 , 2],"namespaces":[]},"\u00e9":{"b" : 18446744073709551616}}"#;
        let expected = text.replace("\\u00e9", "\u{e9}");
        assert_eq!(written(text, |_| {}), expected);
    }

    #[test]
    fn parts_are_changed_in_their_place_and_added_at_the_end() {
        let add = |parts: &mut Value| {
            parts["hooks"] = json!([1]);
            if parts["linux"].is_object() {
                parts["linux"]["timeOffsets"] = json!({"boottime": 2});
            }
        };
        for (text, expected) in [
            ("{}", r#"{"hooks":[1]}"#),
            (
                r#"{ "hooks" : null, "a" : null }"#,
                r#"{"hooks":[1],"a":null}"#,
            ),
            (
                r#"{"linux":{"namespaces":[],"y":0},"a":0}"#,
                r#"{"linux":{"namespaces":[],"y":0,"timeOffsets":{"boottime":2}},"a":0,"hooks":[1]}"#,
            ),
        ] {
            assert_eq!(written(text, add), expected);
        }
        let null = r#"{"linux":null,"a":0}"#;
        assert_eq!(written(null, |_| {}), null);
    }

    #[test]
    fn a_part_that_is_longer_than_any_is_refused() {
        let hooks = format!(r#"{{"hooks":[{}1]}}"#, "[],".repeat(400_000));
        let said = Outline::parse(hooks.as_bytes()).unwrap_err().to_string();
        assert_eq!(said, "hooks is longer than 1 MiB");
    }
}
