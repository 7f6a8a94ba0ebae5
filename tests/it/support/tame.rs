//! What every call must be that somebody else has tampered with.

use std::time::Duration;

use super::Outcome;

impl Outcome {
    /// That it ended by itself, before a limit, and said nothing that a terminal would obey or that deceives the eye.
    #[track_caller]
    pub fn is_tame(&self, name: &str, limit: Duration) {
        let beginning: String = format!("{self:#?}").chars().take(3000).collect();
        assert!(self.took < limit, "{name}: {beginning}");
        assert!(self.code.is_some_and(|code| code < 2), "{name}: {beginning}");
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!self.said().contains(obeyed), "{name}: {beginning}");
        // JSON is for programs, which compare names letter by letter.
        let deceives = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        assert!(self.stdout.starts_with('{') || !self.said().contains(deceives), "{name}: {beginning}");
        assert!(!self.said().contains("internal error"), "{name}: {beginning}");
    }
}
