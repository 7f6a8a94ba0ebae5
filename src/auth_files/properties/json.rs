//! JSON as these tests spell it: made here, and written by nobody's library.

/// JSON in which a name may stand twice, and a number is its letters.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Word(String),
}

use Json::{Array, Object, Text, Word};

/// The fields that an entry loses.
const LOST: [&str; 6] = ["auth", "username", "password", "email", "serveraddress", "identitytoken"];

impl Json {
    pub fn text(text: &str) -> Self {
        Text(text.to_owned())
    }

    /// As it may stand in a file. `style` decides on blanks and escapes, bit by bit.
    pub fn spelt(&self, style: &mut impl Iterator<Item = u8>, out: &mut String) {
        let mut blank = |out: &mut String| {
            out.push_str(["", "", " ", "\n\t", "\r\n  "][usize::from(style.next().unwrap_or(0)) % 5])
        };
        blank(out);
        match self {
            Object(fields) => {
                out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    Text(name.clone()).spelt(style, out);
                    out.push(':');
                    value.spelt(style, out);
                }
                out.push('}');
            }
            Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.spelt(style, out);
                }
                out.push(']');
            }
            Text(text) => {
                let escapes_all = style.next().unwrap_or(0) % 4 == 3;
                out.push('"');
                for c in text.chars() {
                    match c {
                        c if c.is_control() || matches!(c, '"' | '\\') || escapes_all => {
                            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
                        }
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            Word(word) => out.push_str(word),
        }
        out.push_str(["", "", " ", "\n\t"][usize::from(style.next().unwrap_or(0)) % 4]);
    }

    /// As Docker writes it.
    pub fn as_docker(&self, depth: usize, out: &mut String) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"\t".repeat(depth));
        };
        match self {
            Object(fields) if fields.is_empty() => out.push_str("{}"),
            Array(items) if items.is_empty() => out.push_str("[]"),
            Object(fields) => {
                out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(out, depth + 1);
                    Text(name.clone()).as_docker(0, out);
                    out.push_str(": ");
                    value.as_docker(depth + 1, out);
                }
                line(out, depth);
                out.push('}');
            }
            Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(out, depth + 1);
                    item.as_docker(depth + 1, out);
                }
                line(out, depth);
                out.push(']');
            }
            Text(text) => {
                out.push('"');
                for c in text.chars() {
                    match c {
                        '"' | '\\' => out.extend(['\\', c]),
                        '\n' => out.push_str("\\n"),
                        '\r' => out.push_str("\\r"),
                        '\t' => out.push_str("\\t"),
                        '\u{8}' => out.push_str("\\b"),
                        '\u{c}' => out.push_str("\\f"),
                        c if c < ' ' || "<>&\u{2028}\u{2029}".contains(c) => {
                            out.push_str(&format!("\\u{:04x}", u32::from(c)))
                        }
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            Word(word) => out.push_str(&respelt(word)),
        }
    }

    /// What a reader of JSON makes of names that stand twice: the last counts, at the place of the first.
    pub fn merged(self) -> Self {
        match self {
            Object(fields) => {
                let mut merged: Vec<(String, Json)> = Vec::new();
                for (name, value) in fields {
                    let value = value.merged();
                    match merged.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, old)) => *old = value,
                        None => merged.push((name, value)),
                    }
                }
                Object(merged)
            }
            Array(items) => Array(items.into_iter().map(Json::merged).collect()),
            other => other,
        }
    }

    /// An entry without what it loses.
    pub fn marker(self) -> Self {
        let Object(mut fields) = self else { return Object(Vec::new()) };
        fields.retain(|(name, _)| !LOST.iter().any(|lost| lost.eq_ignore_ascii_case(name)));
        Object(fields)
    }
}

/// A number with its exponent as `serde_json` writes one, `e+5` and `e-5`; every digit stays.
fn respelt(word: &str) -> String {
    match word.split_once(['e', 'E']) {
        Some((digits, exponent)) if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            format!("{digits}e{sign}{}", exponent.trim_start_matches(['+', '-']))
        }
        _ => word.to_owned(),
    }
}
