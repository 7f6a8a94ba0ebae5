//! Who can read what is written: one recipient of age, and the list of them in `.age-recipients`.
//!
//! The list is edited by line, so that what its owner wrote beside them stays. A line that is no recipient is an error:
//! to leave it out would lock somebody out of what is written.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use age::{NoCallbacks, plugin, tag, tagpq, x25519};

use crate::error::{Error, Result};

/// Somebody who can read. Compared by the text.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    X25519(x25519::Recipient),
    Tag(tag::Recipient),
    TagPq(Box<tagpq::Recipient>),
    Plugin(plugin::Recipient),
}

impl FromStr for Recipient {
    type Err = ();

    /// A recipient of age itself, or of one of its plugins (`age1NAME1…`). Not of ssh.
    fn from_str(text: &str) -> Result<Self, ()> {
        // Bech32 may be in capitals, which the `age` program refuses too: a second spelling of somebody would stay on the list
        // when the first one is removed.
        if text.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(());
        }
        let kind = if let Ok(recipient) = x25519::Recipient::from_str(text) {
            Kind::X25519(recipient)
        } else if let Ok(recipient) = tag::Recipient::from_str(text) {
            Kind::Tag(recipient)
        } else if let Ok(recipient) = tagpq::Recipient::from_str(text) {
            Kind::TagPq(Box::new(recipient))
        } else {
            Kind::Plugin(plugin::Recipient::from_str(text).map_err(drop)?)
        };
        Ok(Self { text: text.to_owned(), kind })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl From<&x25519::Identity> for Recipient {
    fn from(identity: &x25519::Identity) -> Self {
        let recipient = identity.to_public();
        Self { text: recipient.to_string(), kind: Kind::X25519(recipient) }
    }
}

impl Recipient {
    /// The plugin that writes for it, if one does.
    pub fn plugin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plugin(recipient) => Some(recipient.plugin()),
            _ => None,
        }
    }
}

/// Recipients in the form that age takes them, those of one plugin together. Nobody is ever asked anything when something
/// is written.
///
/// Fails if a plugin is not installed.
pub fn for_age(recipients: &[Recipient]) -> Result<Vec<Box<dyn age::Recipient>>> {
    let mut boxed: Vec<Box<dyn age::Recipient>> = Vec::new();
    let mut of_plugins = Vec::new();
    for recipient in recipients {
        match &recipient.kind {
            Kind::X25519(recipient) => boxed.push(Box::new(recipient.clone())),
            Kind::Tag(recipient) => boxed.push(Box::new(recipient.clone())),
            Kind::TagPq(recipient) => boxed.push(recipient.clone()),
            Kind::Plugin(recipient) => of_plugins.push(recipient.clone()),
        }
    }
    let mut names: Vec<&str> = of_plugins.iter().map(plugin::Recipient::plugin).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        super::plugin::check(name)?;
        let plugin = plugin::RecipientPluginV1::new(name, &of_plugins, &[], NoCallbacks);
        boxed.push(Box::new(plugin.map_err(|_| Error::NoPlugin(name.into()))?));
    }
    Ok(boxed)
}

/// The text of a list of recipients: one a line, `#` begins a comment, as in passage.
#[derive(Default)]
pub struct RecipientList {
    text: String,
    recipients: Vec<Recipient>,
}

impl RecipientList {
    /// Reads a list, which `path` names in errors. An empty one is none yet.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let broken = |problem: String| Error::BadList { path: path.into(), problem };
        let text = std::str::from_utf8(text).map_err(|_| broken("is not UTF-8".into()))?;
        let mut recipients = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(recipient) = content(line) {
                let recipient = recipient.parse();
                recipients.push(recipient.map_err(|()| broken(format!("line {number} is not an age recipient")))?);
            }
        }
        if recipients.is_empty() && !text.is_empty() {
            return Err(broken("lists no recipient".into()));
        }
        Ok(Self { text: text.to_owned(), recipients })
    }

    /// Everybody on it, in order.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Whether there is nobody on it.
    pub fn is_empty(&self) -> bool {
        self.recipients.is_empty()
    }

    /// Whether somebody is on it.
    pub fn contains(&self, recipient: &Recipient) -> bool {
        self.recipients.contains(recipient)
    }

    /// The file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts somebody at the end, below a comment; nothing changes if he is on it.
    pub fn add(&mut self, recipient: Recipient, comment: Option<&str>) {
        if self.contains(&recipient) {
            return;
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        if let Some(comment) = comment {
            self.text += &format!("# {comment}\n");
        }
        self.text += &format!("{recipient}\n");
        self.recipients.push(recipient);
    }

    /// Takes somebody off it. Comments stay.
    pub fn remove(&mut self, recipient: &Recipient) {
        let is_kept = |line: &&str| content(line) != Some(recipient.text.as_str());
        self.text = self.text.split_inclusive('\n').filter(is_kept).collect();
        self.recipients.retain(|listed| listed != recipient);
    }
}

/// What a line says, without blanks; nothing if it is blank or a comment.
fn content(line: &str) -> Option<&str> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anybody() -> Recipient {
        Recipient::from(&x25519::Identity::generate())
    }

    fn parse(text: &str) -> Result<RecipientList> {
        RecipientList::parse(Path::new(".age-recipients"), text.as_bytes())
    }

    #[test]
    fn recipients_are_read_as_passage_reads_them() {
        let recipient = anybody();
        assert_eq!(parse(&format!("# the team\n\n{recipient}\r\n  {recipient}  \n")).unwrap().recipients().len(), 2);
        let error = parse(&format!("{recipient}\nssh-ed25519 AAAA\n")).err().unwrap();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(parse("# nobody\n").is_err());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn plugins_have_recipients_of_their_own() {
        // From the documentation of age-plugin-yubikey, and of the tagged recipients.
        let yubikey = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
        assert_eq!(yubikey.parse::<Recipient>().unwrap().plugin(), Some("yubikey"));
        assert_eq!(anybody().plugin(), None);
        for bad in ["age1", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA", &yubikey[..60]] {
            assert!(bad.parse::<Recipient>().is_err(), "{bad}");
        }
    }

    /// Both spellings were taken, and counted as two: one removed, the other went on reading.
    #[test]
    fn nobody_is_listed_in_two_spellings() {
        let recipient = anybody().to_string();
        let error = parse(&format!("{recipient}\n{}\n", recipient.to_uppercase())).err().unwrap();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn who_comes_and_goes_leaves_the_comments() {
        let (one, two) = (anybody(), anybody());
        let mut list = parse(&format!("# me\n{one}")).unwrap();
        list.add(two.clone(), Some("Bob"));
        list.add(two.clone(), Some("Bob again"));
        assert_eq!(list.text(), format!("# me\n{one}\n# Bob\n{two}\n"));
        list.remove(&one);
        assert_eq!(list.text(), format!("# me\n# Bob\n{two}\n"));
        assert!(list.contains(&two) && !list.contains(&one));
    }
}
