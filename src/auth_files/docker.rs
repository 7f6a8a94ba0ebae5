//! Docker's `config.json`.
//!
//! Read as Docker reads it (names in any case, an empty file is one), written as Docker writes it: tabs, no
//! newline at the end, `<` `>` `&` escaped. What it holds besides, unknown keys, their order, mode, owner and a
//! symbolic link, stays as it is.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap};
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::files::{self, Privacy};
use crate::settings;

/// A configuration longer than this is not one.
const MAX_CONFIG: u64 = 64 << 20;

/// A `config.json` that was read.
pub struct DockerConfig {
    path: PathBuf,
    document: Document,
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
pub fn path() -> Result<PathBuf> {
    let directory = match settings::variable("DOCKER_CONFIG") {
        Some(directory) => PathBuf::from(directory),
        None => settings::home()?.join(".docker"),
    };
    Ok(directory.join("config.json"))
}

impl DockerConfig {
    /// Reads the file; one that does not exist, or is empty, says nothing.
    pub fn read(path: PathBuf) -> Result<Self> {
        let bytes = files::read(&path, MAX_CONFIG, Privacy::Any)?.unwrap_or_default();
        let document = if bytes.iter().all(u8::is_ascii_whitespace) {
            Document(vec![("auths".into(), Value::Object(serde_json::Map::new()))])
        } else {
            // Not serde's own words, which may quote a secret.
            serde_json::from_slice(&bytes).map_err(|error| Error::Command {
                message: format!(
                    "{} is not the JSON of a configuration, at line {} column {}",
                    path.display(),
                    error.line(),
                    error.column()
                ),
                cure: "mend it there; nothing was changed".into(),
            })?
        };
        Ok(Self { path, document })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The helper that answers for every registry.
    pub fn creds_store(&self) -> Option<&str> {
        self.document.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The servers whose entries hold a secret. Docker merges an `auths` that stands twice.
    pub fn plaintext(&self) -> Vec<&str> {
        let named = self.document.0.iter().filter(|(field, _)| field.eq_ignore_ascii_case("auths"));
        let entries = named.filter_map(|(_, value)| value.as_object()).flatten();
        entries.filter(|(_, entry)| holds_secret(entry)).map(|(server, _)| server.as_str()).collect()
    }

    /// Names the helper that answers for every registry.
    pub fn set_creds_store(&mut self, name: &str) {
        self.document.set("credsStore", Value::String(name.into()));
    }

    /// Replaces the file: mode and owner stay, a symbolic link stays and its target is replaced.
    pub fn write(&self) -> Result<()> {
        let path = resolved(&self.path)?;
        if let Some(directory) = path.parent() {
            files::create_directory(directory)?;
        }
        let old = match fs::metadata(&path) {
            Ok(metadata) => Some(metadata),
            Err(error) if files::is_absent(&error) => None,
            Err(error) => return Err(Error::file("examine", &path)(error)),
        };
        let mode = old.as_ref().map_or(fs::Permissions::from_mode(0o600), fs::Metadata::permissions);
        files::replace(&path, &self.document.to_json()?, mode, |file| match &old {
            Some(old) => keep_owner(file, old),
            None => Ok(()),
        })
    }
}

fn holds_secret(entry: &Value) -> bool {
    let secrets = ["auth", "password", "identitytoken", "registrytoken"];
    let Some(entry) = entry.as_object() else { return false };
    entry.iter().any(|(field, value)| {
        secrets.iter().any(|secret| secret.eq_ignore_ascii_case(field))
            && value.as_str().is_some_and(|text| !text.is_empty())
    })
}

fn keep_owner(file: &fs::File, old: &fs::Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))
}

/// What a symbolic link leads to, also when nothing is there yet.
fn resolved(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Error::BadFile { path, problem: "is a loop of symbolic links".into() })
}

/// The top level of the file, in its order. Not a map: Docker merges a name that stands twice, so neither
/// may be dropped.
struct Document(Vec<(String, Value)>);

impl Document {
    /// The value that Docker would use, whatever the case of its name.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rfind(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().rfind(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut json = Zeroizing::new(Vec::new());
        let formatter = DockerFormatter(PrettyFormatter::with_indent(b"\t"));
        self.serialize(&mut Serializer::with_formatter(&mut *json, formatter))
            .map_err(|_| Error::Internal("Docker's configuration".into()))?;
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
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Document(fields))
            }
        }
        deserializer.deserialize_map(Fields)
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
        let mut document: Document = serde_json::from_str(text).unwrap();
        document.set("credsStore", Value::String("coffer".into()));
        String::from_utf8(document.to_json().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn nothing_else_changes() {
        let text = "{\n\t\"zeta\": [\n\t\t12345678901234567890123,\n\t\t1.50,\n\t\t{}\n\t],\n\t\"auths\": {\n\t\t\"b\": {},\n\t\t\"a\": {}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"X\": \"a\\u003cb\\u003e\\u0026\\u2028\"\n\t},\n\t\"credsStore\": \"coffer\"\n}";
        assert_eq!(rewritten(text), text);
    }

    #[test]
    fn names_count_in_any_case_and_twice() {
        let text = rewritten(r#"{"auths":{"a":{"auth":"x"}},"CREDSSTORE":"pass","Auths":{"b":{}}}"#);
        assert_eq!(text.matches("uths").count(), 2);
        assert!(text.contains("\"CREDSSTORE\": \"coffer\"") && !text.contains("credsStore"), "{text}");
    }
}
