//! The text of an identity file, in age's own format, and what can be said of it without a plugin.

use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::{plugin, x25519};
use zeroize::Zeroizing;

use super::recipient::Recipient;

/// What stands in an identity file.
pub struct Identities {
    /// The file, comments included.
    pub text: Zeroizing<String>,
    /// age's own.
    pub own: Vec<x25519::Identity>,
    /// Those that a plugin knows what to do with.
    pub of_plugins: Vec<plugin::Identity>,
    /// The recipients that comments name beside identities of plugins, which alone do not tell.
    noted: Vec<Recipient>,
}

/// Why a text is no identity file. The text itself may be secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// This line, counted from 1, is neither an identity nor a comment.
    Line(usize),
    /// There is no identity.
    Empty,
}

impl Identities {
    /// Reads an identity file.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, Malformed> {
        let (mut own, mut of_plugins, mut noted) = (Vec::new(), Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if let Some(comment) = line.strip_prefix('#') {
                noted.extend(recipient_in(comment));
            } else if let Ok(identity) = x25519::Identity::from_str(line) {
                own.push(identity);
            } else if let Ok(identity) = plugin::Identity::from_str(line) {
                of_plugins.push(identity);
            } else if !line.is_empty() {
                return Err(Malformed::Line(number));
            }
        }
        if own.is_empty() && of_plugins.is_empty() {
            return Err(Malformed::Empty);
        }
        // age-keygen's comment of a native one, which tells by itself.
        noted.retain(|recipient: &Recipient| recipient.plugin().is_some() || !of_plugins.is_empty());
        Ok(Self { text, own, of_plugins, noted })
    }

    /// A new one of age's own.
    pub fn generate() -> Self {
        Self::from_own(vec![x25519::Identity::generate()])
    }

    /// As age-keygen would write them.
    pub fn from_own(own: Vec<x25519::Identity>) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(own.len() * 256));
        for identity in &own {
            text.push_str("# public key: ");
            text.push_str(&identity.to_public().to_string());
            text.push('\n');
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        Self { text, own, of_plugins: Vec::new(), noted: Vec::new() }
    }

    /// The public halves, as far as the text tells them.
    pub fn recipients(&self) -> Vec<Recipient> {
        let mut recipients: Vec<Recipient> = Vec::new();
        for recipient in self.own.iter().map(Recipient::from).chain(self.noted.iter().cloned()) {
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        recipients
    }

    /// Whether the text tells every public half: of each that a plugin holds, in a comment.
    pub fn tells_recipients(&self) -> bool {
        let own: Vec<Recipient> = self.own.iter().map(Recipient::from).collect();
        let of_plugins = self.recipients().iter().filter(|recipient| !own.contains(recipient)).count();
        of_plugins >= self.of_plugins.len()
    }

    /// The plugins that are needed, each once.
    pub fn plugins(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.of_plugins.iter().map(plugin::Identity::plugin).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The recipient that a comment names: `# public key: age1…` of age-keygen, `#    Recipient: age1yubikey1…` of
/// age-plugin-yubikey, `# Recipient: age1tpm1…` of age-plugin-tpm.
fn recipient_in(comment: &str) -> Option<Recipient> {
    let (label, recipient) = comment.split_once(':')?;
    let is_label = ["public key", "recipient"].iter().any(|known| label.trim().eq_ignore_ascii_case(known));
    if is_label { recipient.trim().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Identities, Malformed> {
        Identities::parse(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn an_identity_file_may_hold_comments_and_several_identities() {
        let both = Identities::from_own(vec![x25519::Identity::generate(), x25519::Identity::generate()]);
        let text = format!("# created\n\n{}", both.text.replace('\n', "\r\n  "));
        let read = parse(&text).unwrap();
        assert!(read.recipients() == both.recipients() && read.recipients().len() == 2);
        assert!(read.tells_recipients() && read.plugins().is_empty());
        // An identity that stands twice is one.
        assert!(parse(&format!("{text}\n{}", *both.text)).unwrap().recipients() == both.recipients());
    }

    #[test]
    fn a_plugins_identity_has_its_recipient_in_a_comment() {
        let identity = plugin::Identity::default_for_plugin("yubikey").unwrap();
        let recipient = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
        let text = format!("#       Serial: 1, Slot: 1\n#    Recipient: {recipient}\n{identity}\n");
        let read = parse(&text).unwrap();
        assert_eq!(read.recipients().iter().map(ToString::to_string).collect::<Vec<_>>(), [recipient]);
        assert_eq!(read.plugins(), ["yubikey"]);
        assert!(read.tells_recipients());
        assert!(!parse(&identity.to_string()).unwrap().tells_recipients());
        // One comment does not tell of two.
        assert!(!parse(&format!("{text}{identity}\n")).unwrap().tells_recipients());
    }

    #[test]
    fn what_is_no_identity_is_told_by_its_line() {
        assert_eq!(parse("# nothing\n").err(), Some(Malformed::Empty));
        assert_eq!(parse("# a\n\nAGE-PLUGIN-YUBIKEY-1\n").err(), Some(Malformed::Line(3)));
        assert_eq!(parse("garbage").err(), Some(Malformed::Line(1)));
    }
}
