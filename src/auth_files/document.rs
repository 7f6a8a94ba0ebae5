//! The JSON of a file that is shared with other programs.
//!
//! Read as Docker reads it: names in any case, an empty file and `null` are an empty object, whatever follows the first
//! value is ignored. Written as Docker writes it: tabs, no newline at the end, `<` `>` `&` escaped. Order, numbers to the
//! last digit (an exponent is spelt `e+5`) and a name that stands twice stay.

use std::fmt;
use std::io;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap};
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The one field of the object as which `serde_json` hands over a number that keeps its digits.
const NUMBER: &str = "$serde_json::private::Number";

/// The top level of a file, in its order. Not a map: Docker merges a name that stands twice, so neither may be dropped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document(pub Vec<(String, Value)>);

/// Where a text stops being JSON, or an object. Not serde's own words, which may quote a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not {expected} at line {line} column {column}")]
pub struct NotJson {
    /// What it should be.
    pub expected: &'static str,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1; 0 before the first character.
    pub column: usize,
}

impl Document {
    /// Reads an object; nothing at all is an empty one.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotJson> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        Self::deserialize(&mut deserializer).map_err(|error| {
            let expected = if error.is_data() { "a JSON object" } else { "JSON" };
            NotJson { expected, line: error.line(), column: error.column() }
        })
    }

    /// The value that Docker would use, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rfind(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Changes a value, or puts it at the end.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().rfind(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut json = Zeroizing::new(Vec::new());
        let formatter = DockerFormatter(PrettyFormatter::with_indent(b"\t"));
        self.serialize(&mut Serializer::with_formatter(&mut *json, formatter))
            .map_err(|_| Error::Internal("writing JSON".into()))?;
        Ok(json)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Document;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            // An empty one to Docker.
            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if name == NUMBER {
                        return Err(de::Error::invalid_type(de::Unexpected::Other("a number"), &self));
                    }
                    fields.push((name, value));
                }
                Ok(Document(fields))
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// Go's `json.MarshalIndent`, which escapes what could end a script element.
struct DockerFormatter<'a>(PrettyFormatter<'a>);

impl Formatter for DockerFormatter<'_> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let escaped = rest[at..].chars().next().unwrap_or_default();
            write!(writer, "\\u{:04x}", u32::from(escaped))?;
            rest = &rest[at + escaped.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let mut document = Document::parse(text.as_bytes()).unwrap();
        document.set("credsStore", Value::String("coffer".into()));
        String::from_utf8(document.to_json().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn nothing_else_changes() {
        let text = "{\n\t\"zeta\": [\n\t\t12345678901234567890123,\n\t\t1.50,\n\t\t{}\n\t],\n\t\"auths\": {\n\t\t\"b\": {},\n\t\t\"a\": {}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"X\": \"a\\u003cb\\u003e\\u0026\\u2028\"\n\t},\n\t\"credsStore\": \"coffer\"\n}";
        assert_eq!(rewritten(text), text);
    }

    /// It was taken for an object with a name of `serde_json`'s own, and would have been written back as that.
    #[test]
    fn a_number_is_no_object() {
        for text in ["17", "-1e5 ", "\"17\"", "[]", "true", r#"{"$serde_json::private::Number":"17"}"#] {
            assert_eq!(Document::parse(text.as_bytes()).unwrap_err().expected, "a JSON object", "{text}");
        }
    }

    #[test]
    fn names_count_in_any_case_and_twice() {
        let text = rewritten(r#"{"auths":{"a":{"auth":"x"}},"CREDSSTORE":"pass","Auths":{"b":{}}}"#);
        assert_eq!(text.matches("uths").count(), 2);
        assert!(text.contains("\"CREDSSTORE\": \"coffer\"") && !text.contains("credsStore"), "{text}");
    }
}
