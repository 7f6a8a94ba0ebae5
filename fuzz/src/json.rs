//! JSON read a second time, by nobody's library, to compare what was written with what was there.

/// A value, with its numbers as they are spelt and its names as they stand.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    Text(String),
    /// A number, digit by digit, `true`, `false` or `null`.
    Word(String),
}

impl Tree {
    /// Reads the first value of a text that is known to be JSON.
    pub fn read(text: &str) -> Tree {
        Reader { rest: text }.value()
    }

    /// Of a name that stands twice in one object the last counts, at the place of the first; but not at the top, where both stay.
    pub fn merged(self) -> Tree {
        let Tree::Object(fields) = self else { return self.merged_within() };
        Tree::Object(fields.into_iter().map(|(name, value)| (name, value.merged_within())).collect())
    }

    fn merged_within(self) -> Tree {
        match self {
            Tree::Array(items) => Tree::Array(items.into_iter().map(Tree::merged_within).collect()),
            Tree::Object(fields) => {
                let mut merged: Vec<(String, Tree)> = Vec::new();
                for (name, value) in fields {
                    let value = value.merged_within();
                    match merged.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, old)) => *old = value,
                        None => merged.push((name, value)),
                    }
                }
                Tree::Object(merged)
            }
            other => other,
        }
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

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, mark: char) -> bool {
        self.skip();
        let stripped = self.rest.strip_prefix(mark);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn value(&mut self) -> Tree {
        if self.take('{') {
            let mut fields = Vec::new();
            while !self.take('}') {
                let name = self.text();
                assert!(self.take(':'));
                fields.push((name, self.value()));
                self.take(',');
            }
            return Tree::Object(fields);
        }
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value());
                self.take(',');
            }
            return Tree::Array(items);
        }
        if self.rest.starts_with('"') {
            return Tree::Text(self.text());
        }
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
        assert!(end > 0, "not JSON: {:?}", self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Tree::Word(respelt(word))
    }

    fn text(&mut self) -> String {
        assert!(self.take('"'), "not a text: {:?}", self.rest);
        let mut units: Vec<u16> = Vec::new();
        let mut chars = self.rest.chars();
        loop {
            let c = chars.next().expect("a text ends");
            let unescaped = match c {
                '"' => break,
                '\\' => match chars.next().expect("an escape goes on") {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        units.push(u16::from_str_radix(&digits, 16).expect("four digits"));
                        continue;
                    }
                    other => other,
                },
                other => other,
            };
            units.extend_from_slice(unescaped.encode_utf16(&mut [0; 2]));
        }
        self.rest = chars.as_str();
        String::from_utf16(&units).expect("no half of a pair")
    }
}
